import { readFileSync, renameSync, openSync, writeSync, fsyncSync, closeSync } from 'node:fs'
import { join } from 'node:path'

const FILE = 'admin.key'

/** The administrator's key as the first start left it; null when there is none. */
export function readAdminKey(dataDirectory: string): string | null {
  try {
    const text = readFileSync(join(dataDirectory, FILE), 'utf8').trim()
    return text === '' ? null : text
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Writes the key whole or not at all, readable by this user only. */
export function writeAdminKey(dataDirectory: string, key: string): void {
  const path = join(dataDirectory, FILE)
  const draft = `${path}.new`
  const file = openSync(draft, 'w', 0o600)
  try {
    writeSync(file, `${key}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(draft, path)
}
