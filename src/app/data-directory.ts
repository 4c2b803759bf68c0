import { accessSync, closeSync, constants, fsyncSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { directoryFailure } from './start-failure.ts'

/**
 * Makes the directory and proves that it can be written and synced, before any engine finds out in its own words.
 * Returns its absolute path. @throws StartFailure
 */
export function prepareDataDirectory(directory: string): string {
  const path = resolve(directory)
  const probe = join(path, `.probe-${process.pid}`)
  try {
    mkdirSync(path, { recursive: true })
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
    const file = openSync(probe, 'w', 0o600)
    try {
      writeSync(file, 'written and synced')
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw directoryFailure(path, error)
  } finally {
    rmSync(probe, { force: true })
  }
  return path
}
