import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pid as ownPid } from 'node:process'
import { DatabaseError, errorCode } from './database-error.ts'
import { processStamp } from './process-stamp.ts'

/** Says which process of ours uses a data directory. It outlives a kill, so a dead owner is told by its stamp. */
export interface DirectoryOwnership {
  release(): void
}

/**
 * Takes the directory for this process. PostgreSQL guards its files by itself; this tells a server that a dead
 * process of ours left behind (it may be stopped) from one that a living process uses (it may not).
 * @throws DatabaseError `inUse`
 */
export function takeOwnership(directory: string): DirectoryOwnership {
  const file = join(directory, 'owner')
  const mine = `${ownPid} ${processStamp(ownPid) ?? ''}\n`
  for (;;) {
    try {
      writeFileSync(file, mine, { flag: 'wx', mode: 0o644 })
      return { release: () => rmSync(file, { force: true }) }
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
    }
    const found = readIfThere(file)
    if (found === null) continue
    const [pid, stamp] = split(found)
    if (pid > 0 && processStamp(pid) === stamp) throw inUse(directory, pid)
    discard(file, found)
  }
}

function inUse(directory: string, pid: number): DatabaseError {
  const who = pid === ownPid ? 'this process already' : `process ${pid}`
  return new DatabaseError(
    'inUse',
    `The database in ${directory} is used by ${who}. Stop that one first, or start with another data directory.`,
  )
}

function split(content: string): readonly [number, string] {
  const line = content.trimEnd()
  const blank = line.indexOf(' ')
  return [Number(line.slice(0, blank)), line.slice(blank + 1)]
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

/** Removes the file of a dead owner. Of several processes that try, one wins; a file that changed meanwhile is put back. */
function discard(file: string, expected: string): void {
  const aside = `${file}.${ownPid}`
  try {
    renameSync(file, aside)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  try {
    if (readFileSync(aside, 'utf8') !== expected) linkSync(aside, file)
  } finally {
    rmSync(aside, { force: true })
  }
}
