import { covers, type Cut } from '../usage/coordinate.ts'
import type { PartitionJournal, RangeSum } from './journal.ts'
import type { PartitionReplay } from './log-replay.ts'
import type { AuditResult } from './rollup-audit.ts'

/** One conservation check. `drift` is by how many records, events or minutes it fails; 0 when it holds. */
export interface ReconcileCheck {
  readonly name: string
  readonly ok: boolean
  readonly expected: string
  readonly actual: string
  readonly detail: string
  /** What was counted, by name; those of checks of one kind can be added up. */
  readonly counts: Readonly<Record<string, number>>
}

export interface JudgedCheck extends ReconcileCheck {
  /** Label of the drift metric. */
  readonly stage: string
  readonly drift: number
}

/** Ranges that no chain from 0 reaches have records missing before them. */
export function densityCheck(journal: readonly PartitionJournal[], before: Cut | null): JudgedCheck {
  const ends = new Map(before?.map(({ partition, offset }) => [partition, offset]))
  const detached = journal
    .flatMap(({ detached }) => detached)
    .filter(({ partition, from }) => before === null || from < (ends.get(partition) ?? 0))
  const missing = detached.map(({ partition, from }) => `partition ${partition} before ${from}`)
  return {
    ...{ name: 'journal has no holes', stage: 'density', drift: detached.length },
    ...outcome('0', String(detached.length)),
    counts: { holes: detached.length },
    detail: missing.length === 0 ? '' : `records are not durable in ${missing.slice(0, 5).join(', ')}`,
  }
}

/** Everything on the log before the cut counts. */
export function reachCheck(journal: readonly PartitionJournal[], cut: Cut): JudgedCheck {
  const ends = new Map(journal.map(({ partition, end }) => [partition, end]))
  const expected = cut.reduce((sum, { offset }) => sum + offset, 0)
  const behind = cut.reduce(
    (sum, { partition, offset }) => sum + Math.max(0, offset - (ends.get(partition) ?? 0)),
    0,
  )
  return {
    ...{ name: 'journal reaches the log', stage: 'journal', drift: behind },
    ...outcome(`${expected} records`, `${expected - behind} records`),
    counts: { records: expected, behind },
    detail: behind === 0 ? '' : `${behind} records on the log are not countable`,
  }
}

/** Records, events and checksum of the journal against those of the log's own bytes. */
export function journalCheck(partition: number, journal: RangeSum, log: RangeSum, note: string): JudgedCheck {
  const text = ({ events, bytes, checksum }: RangeSum): string =>
    `${events} events, ${bytes} bytes, checksum ${checksum.toString(16)}`
  const drift = Math.max(Math.abs(journal.events - log.events), text(journal) === text(log) ? 0 : 1)
  return {
    ...{ name: `journal equals log, partition ${partition}`, stage: 'log', drift },
    ...outcome(text(log), text(journal)),
    counts: { events: log.events, bytes: log.bytes },
    detail: note,
  }
}

/** What the usage store says of the tenant's identities of one partition. */
export interface StoredPartition {
  readonly rows: number
  readonly sum: number
  readonly xor: number
  readonly conflicts: number
}

/** Canonical + duplicates + conflicts = received, each counted on the log, and the rows that count are those. */
export function canonicalCheck(
  partition: number,
  replay: PartitionReplay,
  stored: StoredPartition,
  note: string,
): JudgedCheck {
  const { canonical, conflicts, received } = replay
  const duplicates = received - canonical.rows - conflicts
  const text = (rows: number, sum: number, xor: number, conflicting: number): string =>
    `${rows} canonical, ${conflicting} conflicts, checksum ${sum.toString(16)}:${xor.toString(16)}`
  const expected = text(canonical.rows, canonical.sum, canonical.xor, conflicts)
  const actual = text(stored.rows, stored.sum, stored.xor, stored.conflicts)
  const difference = Math.abs(canonical.rows - stored.rows) + Math.abs(conflicts - stored.conflicts)
  return {
    ...{ name: `events equal log, partition ${partition}`, stage: 'raw' },
    drift: Math.max(difference, expected === actual ? 0 : 1),
    ...outcome(expected, actual),
    counts: { received, canonical: canonical.rows, duplicates, conflicts },
    detail: `${received} received = ${canonical.rows} canonical + ${duplicates} duplicates + ${conflicts} conflicts${note}`,
  }
}

/** Minutes and hours whose rollup is not what their events come to. */
export function rollupCheck({ meters, buckets, different, fixed }: AuditResult): JudgedCheck {
  const left = different - fixed
  return {
    ...{ name: 'rollups equal events', stage: 'rollup', drift: left },
    ...outcome('0 differ', `${left} differ`),
    counts: { meters, buckets, different, fixed },
    detail: `${buckets} minutes and hours of ${meters} meters${fixed > 0 ? `, ${fixed} computed again` : ''}`,
  }
}

/** Copies with another key are known up to the cut, so none of them can count. */
export function sweptCheck(swept: Cut, cut: Cut): JudgedCheck {
  const isSwept = covers(swept, cut)
  return {
    ...{ name: 'conflicts are known', stage: 'conflicts', drift: isSwept ? 0 : 1 },
    ...outcome('searched to the cut', isSwept ? 'searched to the cut' : 'not searched to the cut'),
    counts: {},
    detail: '',
  }
}

function outcome(expected: string, actual: string): Pick<ReconcileCheck, 'ok' | 'expected' | 'actual'> {
  return { ok: expected === actual, expected, actual }
}
