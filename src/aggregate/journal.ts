import { crc32 } from 'node:zlib'
import type { Cut } from '../usage/coordinate.ts'
import type { LogRecord } from '../usage/event-log.ts'

/**
 * Records `[from, to)` of a partition whose rows are durable. Counts are a function of the log's bytes, so two
 * writers that cover the same records agree on them.
 */
export interface RecordRange {
  readonly partition: number
  readonly from: number
  readonly to: number
  readonly events: number
  readonly bytes: number
  /** Sum of the records' CRC-32, seeded with their offsets; see `addChecksums`. */
  readonly checksum: number
  readonly ingestedMaxMs: number
}

/** The gap-free prefix of one partition. */
export interface PartitionJournal {
  readonly partition: number
  /** I3: rows of every record before it are durable. */
  readonly end: number
  readonly events: number
  readonly bytes: number
  readonly checksum: number
  /** Ranges that the prefix was read from. */
  readonly ranges: number
  /** A chain of them from 0 to the end, each beginning where the one before ends. */
  readonly chain: readonly RecordRange[]
  /** Ranges that no chain from 0 reaches: records are missing before them. Empty but for a fault or a zombie. */
  readonly detached: readonly RecordRange[]
}

/**
 * I3: the end of the gap-free prefix of a partition's ranges. Every writer starts at an end that it found here, so
 * each of its ranges starts where another one ended; replays and zombies add ranges that overlap, which do not
 * count twice because only one chain from 0 to the end is added up.
 */
export function journalOf(partition: number, ranges: readonly RecordRange[]): PartitionJournal {
  /** End of a chain from 0 → its last range; null for the empty chain. */
  const reached = new Map<number, RecordRange | null>([[0, null]])
  const detached: RecordRange[] = []
  let end = 0
  for (const range of ranges.toSorted((a, b) => a.from - b.from || b.to - a.to)) {
    if (!reached.has(range.from)) {
      if (range.to > end) detached.push(range)
      continue
    }
    if (!reached.has(range.to)) reached.set(range.to, range)
    if (range.to > end) end = range.to
  }
  const chain: RecordRange[] = []
  for (let last = reached.get(end); last !== undefined && last !== null; last = reached.get(last.from)) {
    chain.push(last)
  }
  chain.reverse()
  return {
    partition,
    end,
    ...sumOf(chain),
    ranges: ranges.length,
    chain,
    detached: detached.filter((range) => range.to > end),
  }
}

/** What ranges that do not overlap come to. */
export interface RangeSum {
  readonly events: number
  readonly bytes: number
  readonly checksum: number
}

export function sumOf(ranges: readonly RangeSum[]): RangeSum {
  return ranges.reduce<RangeSum>(
    (sum, { events, bytes, checksum }) => ({
      events: sum.events + events,
      bytes: sum.bytes + bytes,
      checksum: addChecksums(sum.checksum, checksum),
    }),
    { events: 0, bytes: 0, checksum: 0 },
  )
}

/** The checksum of one record. The offset is the seed, so that records that changed places do not cancel out. */
export function recordChecksum(record: LogRecord): number {
  return crc32(record.value, record.offset >>> 0)
}

/** Sums of checksums stay whole numbers: they are taken modulo 2^48. */
export function addChecksums(a: number, b: number): number {
  return (a + b) % 2 ** 48
}

export function endsOf(journal: readonly PartitionJournal[]): Cut {
  return journal.map(({ partition, end }) => ({ partition, offset: end }))
}
