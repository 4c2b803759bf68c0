import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { directoryFailure, StartFailure } from './start-failure.ts'

/**
 * Makes the directory and proves that it can be written and synced, before any engine finds out in its own words.
 * Returns its absolute path. @throws StartFailure
 */
export function prepareDataDirectory(directory: string): string {
  const path = resolve(directory)
  const probe = join(path, `.probe-${process.pid}`)
  try {
    makeDirectory(path)
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
    const file = openSync(probe, 'w', 0o600)
    try {
      writeSync(file, 'written and synced')
      fsyncSync(file)
    } finally {
      closeSync(file)
      rmSync(probe)
    }
  } catch (error) {
    throw directoryFailure(path, error)
  }
  return path
}

/** Folder by folder: Node's own recursion never ends where the system answers ENOENT to every attempt, as /proc does. */
function makeDirectory(path: string): void {
  const missing: string[] = []
  for (let at = path; !existsSync(at); at = dirname(at)) missing.unshift(at)
  for (const folder of missing) {
    try {
      mkdirSync(folder)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EEXIST') continue // another process that starts on the same directory made it
      if (code !== 'ENOENT') throw error
      throw new StartFailure(
        `The data directory ${path} cannot be made in ${dirname(folder)}. Choose another with --data or TALLYMAN_DATA_DIR.`,
        error,
      )
    }
  }
  if (!statSync(path).isDirectory()) throw Object.assign(new Error(`${path} is a file`), { code: 'ENOTDIR' })
}
