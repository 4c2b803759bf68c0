import type { Cut } from '../usage/coordinate.ts'

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
  /** Ranges that no chain from 0 reaches: records are missing before them. Empty but for a fault or a zombie. */
  readonly detached: readonly RecordRange[]
}

interface Reached {
  readonly events: number
  readonly bytes: number
  readonly checksum: number
}

/**
 * I3: the end of the gap-free prefix of a partition's ranges. Every writer starts at an end that it found here, so
 * each of its ranges starts where another one ended; replays and zombies add ranges that overlap, which do not
 * count twice because only one chain from 0 to the end is added up.
 */
export function journalOf(partition: number, ranges: readonly RecordRange[]): PartitionJournal {
  const reached = new Map<number, Reached>([[0, { events: 0, bytes: 0, checksum: 0 }]])
  const detached: RecordRange[] = []
  let end = 0
  for (const range of ranges.toSorted((a, b) => a.from - b.from || b.to - a.to)) {
    const before = reached.get(range.from)
    if (before === undefined) {
      if (range.to > end) detached.push(range)
      continue
    }
    if (!reached.has(range.to)) {
      reached.set(range.to, {
        events: before.events + range.events,
        bytes: before.bytes + range.bytes,
        checksum: addChecksums(before.checksum, range.checksum),
      })
    }
    if (range.to > end) end = range.to
  }
  const { events, bytes, checksum } = reached.get(end) ?? { events: 0, bytes: 0, checksum: 0 }
  return {
    partition,
    end,
    events,
    bytes,
    checksum,
    ranges: ranges.length,
    detached: detached.filter((range) => range.to > end),
  }
}

/** Sums of checksums stay whole numbers: they are taken modulo 2^48. */
export function addChecksums(a: number, b: number): number {
  return (a + b) % 2 ** 48
}

export function endsOf(journal: readonly PartitionJournal[]): Cut {
  return journal.map(({ partition, end }) => ({ partition, offset: end }))
}
