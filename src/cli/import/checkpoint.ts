import { createHash } from 'node:crypto'
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { errorCode, fileFailure } from '../failure.ts'

/** How far an import came. It saves time, not correctness: sending a row again adds nothing. */
interface Checkpoint {
  /** Rows up to and including this number are done. */
  readonly rows: number
  readonly accepted: number
  readonly duplicates: number
  readonly rejected: number
  /** Length of the rejects file: what was written to it behind the checkpoint is written again. */
  readonly rejectsBytes: number
}

const checkpointShape = z.object({
  fingerprint: z.string(),
  rows: z.number().int().nonnegative(),
  accepted: z.number().int().nonnegative(),
  duplicates: z.number().int().nonnegative(),
  rejected: z.number().int().nonnegative(),
  rejectsBytes: z.number().int().nonnegative(),
})

export interface CheckpointFile {
  read(): Checkpoint | null
  write(checkpoint: Checkpoint): void
  remove(): void
}

/** What an import is of: another file, mapping, source or server starts from the first row. */
export function fingerprintOf(parts: {
  readonly path: string
  readonly mapping: string
  readonly source: string
  readonly url: string
}): string {
  const { size, mtimeMs } = statSync(parts.path)
  return createHash('sha256')
    .update(JSON.stringify([size, mtimeMs, parts.mapping, parts.source, parts.url]))
    .digest('hex')
}

export function openCheckpoint(path: string, fingerprint: string): CheckpointFile {
  return {
    read: () => {
      let text: string
      try {
        text = readFileSync(path, 'utf8')
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return null
        throw fileFailure(path, error)
      }
      const outcome = checkpointShape.safeParse(parseJson(text))
      return outcome.success && outcome.data.fingerprint === fingerprint ? outcome.data : null
    },
    write: (checkpoint) => {
      try {
        writeFileSync(`${path}.new`, JSON.stringify({ fingerprint, ...checkpoint }))
        renameSync(`${path}.new`, path)
      } catch (error) {
        throw fileFailure(path, error)
      }
    },
    remove: () => rmSync(path, { force: true }),
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null // torn by a crash: as good as none
  }
}
