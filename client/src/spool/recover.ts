import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SpooledEvent } from '../spool-port.ts'
import { decodeSegment } from './segment.ts'
import { SegmentFile } from './segment-file.ts'

/** What a directory holds from earlier processes. */
export interface Recovery {
  readonly events: readonly SpooledEvent[]
  /** Segments with events that are not settled; the others have been removed. */
  readonly segments: readonly SegmentFile[]
  readonly lastNumber: number
  readonly lastSegment: number
  readonly torn: readonly { readonly path: string; readonly bytes: number }[]
}

export function segmentPath(directory: string, index: number): string {
  return join(directory, `${String(index).padStart(10, '0')}.segment`)
}

/** Reads every segment, oldest first. The directory must be locked. */
export function recover(directory: string): Recovery {
  const indexes = readdirSync(directory)
    .flatMap((name) => /^(\d+)\.segment$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
  const found = new Map<number, { readonly body: Uint8Array; readonly segment: SegmentFile }>()
  const files: SegmentFile[] = []
  const torn: { readonly path: string; readonly bytes: number }[] = []
  let lastNumber = 0
  for (const index of indexes) {
    const path = segmentPath(directory, index)
    const bytes = readFileSync(path)
    const segment = new SegmentFile(path, bytes.length)
    files.push(segment)
    const { records, tornBytes } = decodeSegment(bytes)
    if (tornBytes > 0) torn.push({ path, bytes: tornBytes })
    for (const record of records) {
      const numbers = record.kind === 'event' ? [record.number] : record.numbers
      for (const number of numbers) lastNumber = Math.max(lastNumber, number)
      if (record.kind === 'event') found.set(record.number, { body: record.body, segment })
      else for (const number of numbers) found.delete(number)
    }
  }
  for (const [number, { segment }] of found) segment.live.add(number)
  for (const segment of files) if (segment.live.size === 0) segment.remove()
  return {
    events: [...found].map(([number, { body }]) => ({ number, event: { id: readId(body), body } })),
    segments: files.filter(({ live }) => live.size > 0),
    lastNumber,
    lastSegment: indexes.at(-1) ?? 0,
    torn,
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function readId(body: Uint8Array): string {
  const { id } = JSON.parse(utf8.decode(body)) as { readonly id?: unknown }
  if (typeof id !== 'string') throw new Error('A record of the spool is whole but is no event.')
  return id
}
