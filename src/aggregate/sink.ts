import { EVENT_COLUMNS } from './event-row.ts'
import type { TenantId } from '../id/ids.ts'
import type { Cut } from '../usage/coordinate.ts'
import { conflictsOf, recordConflicts } from './conflict-rows.ts'
import type { MonthRows, Suspect } from './flush-buffer.ts'
import { journalOf, type PartitionJournal, type RecordRange } from './journal.ts'
import { bucketMarks, writeMarks } from './marks.ts'
import type { UsageStore } from './ports.ts'
import { RowWriter } from './row-binary.ts'
import type { MinuteMark } from './touched.ts'

/** Where the worker writes. Everything may be written twice: rows are united by their keys. */
export interface UsageSink {
  writeEvents(month: MonthRows): Promise<void>
  /**
   * Looks suspects up among all rows before the cut, and writes down which copies of theirs do not count. Before the
   * journal: a copy that says something else never counts beside the first one.
   */
  writeConflicts(suspects: readonly Suspect[], cut: Cut): Promise<void>
  /** Before the journal: a minute is known to be touched before its events count. */
  writeMarks(marks: readonly MinuteMark[]): Promise<void>
  /** Last: says that everything of these records is durable. */
  writeJournal(ranges: readonly RecordRange[], writtenAtMs: number): Promise<void>
  readJournal(): Promise<readonly PartitionJournal[]>
}

const JOURNAL_COLUMNS = [
  ['tp', 'UInt16'],
  ['kp', 'UInt16'],
  ['ko_from', 'UInt64'],
  ['ko_to', 'UInt64'],
  ['events', 'UInt64'],
  ['bytes', 'UInt64'],
  ['checksum', 'UInt64'],
  ['ingested_max', "DateTime64(3, 'UTC')"],
  ['written_at', "DateTime64(3, 'UTC')"],
] as const

/** The sink over ClickHouse, for the log's topic epoch and its partitions. */
export function createUsageSink(
  store: UsageStore,
  { epoch, partitions }: { readonly epoch: number; readonly partitions: number },
): UsageSink {
  return {
    writeEvents: ({ writer }) =>
      store.insert({
        table: 'usage_events',
        columns: EVENT_COLUMNS,
        chunks: writer.chunks(),
        rows: writer.rows,
      }),

    writeConflicts: async (suspects, cut) => {
      for (const [tenant, identities] of Map.groupBy(suspects, (suspect) => suspect.tenant as TenantId)) {
        const conflicts = await conflictsOf(store, tenant, identities, cut)
        await recordConflicts(store, tenant, epoch, conflicts)
      }
    },

    writeMarks: (marks) => writeMarks(store, bucketMarks(marks)),

    writeJournal: async (ranges, writtenAtMs) => {
      const rows = new RowWriter()
      for (const range of ranges) {
        rows.reserve(128)
        rows.uint16(epoch)
        rows.uint16(range.partition)
        rows.int64(range.from)
        rows.int64(range.to)
        rows.int64(range.events)
        rows.int64(range.bytes)
        rows.int64(range.checksum)
        rows.int64(range.ingestedMaxMs)
        rows.int64(writtenAtMs)
        rows.endRow()
      }
      await store.insert({
        table: 'usage_journal',
        columns: JOURNAL_COLUMNS,
        chunks: rows.chunks(),
        rows: rows.rows,
      })
    },

    readJournal: () => readJournal(store, epoch, partitions),
  }
}

interface JournalRow {
  readonly kp: number
  readonly ko_from: string
  readonly ko_to: string
  readonly events: string
  readonly bytes: string
  readonly checksum: string
  readonly ingested_max_ms: string
}

/**
 * The journal of every partition. Summing rows (`[0, end)`, written at each start) spare reading the
 * ranges that they cover.
 */
export async function readJournal(
  store: UsageStore,
  epoch: number,
  partitions: number,
): Promise<readonly PartitionJournal[]> {
  const rows = await store.query<JournalRow>(
    `WITH heads AS (SELECT kp, max(ko_to) AS head FROM usage_journal WHERE tp = {epoch:UInt16} AND ko_from = 0 GROUP BY kp)
     SELECT j.kp AS kp, j.ko_from AS ko_from, j.ko_to AS ko_to, any(j.events) AS events, any(j.bytes) AS bytes,
            any(j.checksum) AS checksum, toUnixTimestamp64Milli(max(j.ingested_max)) AS ingested_max_ms
     FROM usage_journal AS j LEFT JOIN heads ON heads.kp = j.kp
     WHERE j.tp = {epoch:UInt16} AND (j.ko_from = 0 OR j.ko_to > heads.head)
     GROUP BY kp, ko_from, ko_to`,
    { epoch },
    'write',
  )
  const byPartition = Map.groupBy(rows, (row) => row.kp)
  return Array.from({ length: partitions }, (_, partition) =>
    journalOf(
      partition,
      (byPartition.get(partition) ?? []).map((row) => ({
        partition,
        from: Number(row.ko_from),
        to: Number(row.ko_to),
        events: Number(row.events),
        bytes: Number(row.bytes),
        checksum: Number(row.checksum),
        ingestedMaxMs: Number(row.ingested_max_ms),
      })),
    ),
  )
}
