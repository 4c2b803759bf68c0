import { statfsSync } from 'node:fs'
import { LogError } from '../../usage/event-log.ts'

/** How often the file system is asked while there is room. */
const ASK_INTERVAL_MS = 250

export interface DiskRoom {
  freeBytes(): number
  /** Null where there is room for the bytes and the reserve, else why nothing was attempted. */
  shortage(bytes: number): LogError | null
  /** What a failed write was: a full disk, which is over when there is room again, or something worse. */
  explain(error: unknown, bytes: number): { readonly isFull: boolean; readonly text: string }
}

/**
 * Watches the space where the log lies. `freeBytesMin` are left to the other engines of the disk, which
 * must be able to finish what they do, and to LMDB, which cannot even delete without a free page.
 */
export function createDiskRoom(directory: string, freeBytesMin: number): DiskRoom {
  let askedMs = -Infinity
  let free = 0

  function freeBytes(): number {
    const { bavail, bsize } = statfsSync(directory)
    free = bavail * bsize
    askedMs = performance.now()
    return free
  }

  return {
    freeBytes,
    shortage(bytes) {
      const needed = bytes + freeBytesMin
      if (performance.now() - askedMs > ASK_INTERVAL_MS || free < needed * 2) freeBytes()
      if (free >= needed) return null
      return new LogError('diskFull', fullText(directory, free), { retryable: true })
    },
    explain(error, bytes) {
      const text = error instanceof Error ? error.message : String(error)
      // LMDB reports a write that was cut short as an input/output error, so the space decides.
      const isFull = FULL_CODES.has(codeOf(error)) || freeBytes() < bytes * 2 + freeBytesMin + 1024 * 1024
      return { isFull, text: isFull ? `${fullText(directory, free)} (${text})` : text }
    },
  }
}

/** ENOSPC, EFBIG and EDQUOT as LMDB passes them on. */
const FULL_CODES: ReadonlySet<unknown> = new Set([28, 27, 122, 'ENOSPC', 'EFBIG', 'EDQUOT'])

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

function fullText(directory: string, free: number): string {
  return `The disk of the event log is full: ${Math.floor(free / 1024 / 1024)} MiB are free in ${directory}. Nothing is accepted until there is room again; what was accepted is safe.`
}
