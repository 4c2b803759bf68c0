import type { EventLog } from '../usage/event-log.ts'
import { EVENT_PARTITIONS, TOPIC_EPOCH, TOPIC_EVENTS } from '../usage/topics.ts'
import { FlushBuffer } from './flush-buffer.ts'
import type { UsageStore } from './ports.ts'
import { RecentIdentities } from './recent-identities.ts'
import { createUsageSink, readJournal } from './sink.ts'

const READ_BYTES = 8_388_608
const ROWS_MAX = 100_000
/** Of the identities that a replay remembers to find conflicts by; the sweep finds those that are further apart. */
const RECENT_SLOTS_LOG2 = 16

/** Records of a partition from an offset on. */
export interface ReplayFrom {
  readonly partition: number
  readonly offset: number
}

interface ReplayProgress {
  readonly recordsDone: number
  readonly records: number
  readonly rows: number
}

export interface RowReplayDeps {
  readonly log: Pick<EventLog, 'read' | 'startOffsets'>
  readonly store: UsageStore
  /** Any number; identities are hashed with it. */
  readonly seed: number
  readonly signal: AbortSignal
  readonly onProgress: (progress: ReplayProgress) => void
}

/**
 * Writes the rows of records that the journal has once more, from the log: what was there is united with itself, what
 * was missing is there again. The journal stays as it is, and rollups must be compared with the events afterwards.
 * Records that the log no longer keeps are left as they are. @returns rows written
 */
export async function replayRows(deps: RowReplayDeps, from: readonly ReplayFrom[]): Promise<number> {
  const { log, store, signal, onProgress } = deps
  const sink = createUsageSink(store, { epoch: TOPIC_EPOCH, partitions: EVENT_PARTITIONS })
  const journal = await readJournal(store, TOPIC_EPOCH, EVENT_PARTITIONS)
  const cut = journal.map(({ partition, end }) => ({ partition, offset: end }))
  const kept = new Map((await log.startOffsets(TOPIC_EVENTS)).map((start) => [start.partition, start.offset]))
  const ranges = from.map(({ partition, offset }) => ({
    partition,
    from: Math.max(offset, kept.get(partition) ?? 0),
    to: cut.find((end) => end.partition === partition)?.offset ?? 0,
  }))
  const records = ranges.reduce((sum, range) => sum + Math.max(0, range.to - range.from), 0)
  const recent = new RecentIdentities(RECENT_SLOTS_LOG2, deps.seed)
  let buffer = new FlushBuffer(TOPIC_EPOCH, deps.seed, recent)
  let recordsDone = 0
  let rows = 0
  const flush = async (): Promise<void> => {
    for (const month of buffer.months()) await sink.writeEvents(month)
    await sink.writeConflicts(buffer.suspects, cut)
    await sink.writeMarks(buffer.touched.marks())
    rows += buffer.rows
    buffer = new FlushBuffer(TOPIC_EPOCH, deps.seed, recent)
    onProgress({ recordsDone, records, rows })
  }
  for (const range of ranges) {
    for (let at = range.from; at < range.to;) {
      signal.throwIfAborted()
      for (const record of await log.read(TOPIC_EVENTS, range.partition, at, READ_BYTES)) {
        if (record.offset !== at) {
          throw new RangeError(
            `partition ${range.partition}: offset ${record.offset} came where ${at} was due`,
          )
        }
        if (at === range.to) break
        at++
        recordsDone++
        buffer.add(range.partition, record)
        if (buffer.rows >= ROWS_MAX) await flush()
      }
    }
  }
  if (!buffer.isEmpty) await flush()
  return rows
}
