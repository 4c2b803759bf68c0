import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pid } from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { LogError } from '../../usage/event-log.ts'

export interface DirectoryLock {
  release(): void
}

/**
 * Takes the directory for this process alone. Node offers no file lock; SQLite, which is part of Node, takes one of
 * the operating system on its file. The kernel gives it back when the process ends in whatever way, and it holds
 * between containers that share the directory, where numbers of processes say nothing.
 * @throws LogError `locked`
 */
export function lockDirectory(directory: string): DirectoryLock {
  const owner = join(directory, 'owner')
  const lock = new DatabaseSync(join(directory, 'lock.sqlite'))
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    throw new LogError(
      'locked',
      `The event log in ${directory} is used by ${ownerText(owner)}. Stop that one first, or start with another data directory.`,
      { retryable: false, cause: error },
    )
  }
  writeFileSync(owner, `process ${pid}\n`)
  return {
    release() {
      rmSync(owner, { force: true })
      lock.close()
    },
  }
}

function ownerText(file: string): string {
  try {
    const text = readFileSync(file, 'utf8').trim()
    return text === `process ${pid}` ? 'this process already' : text === '' ? 'another process' : text
  } catch {
    return 'another process' // it says who it is a moment after it has the lock
  }
}
