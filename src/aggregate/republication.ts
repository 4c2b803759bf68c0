import type { Cut } from '../usage/coordinate.ts'
import type { EventLog, LogRecord } from '../usage/event-log.ts'
import { TOPIC_EVENTS } from '../usage/topics.ts'

export const AGGREGATE_GROUP = 'tallyman-aggregate'

const READ_BYTES = 4_194_304
/** Of a partition. Who is not named again then is named with the next event. */
const RECORDS_MAX = 10_000

/** Records that count and whose position is not committed: their subjects may not have been published. */
export async function* uncommittedRecords(
  log: EventLog,
  journal: Cut,
): AsyncGenerator<{ readonly partition: number; readonly records: readonly LogRecord[] }> {
  const offsets = (positions: Cut): ReadonlyMap<number, number> =>
    new Map(positions.map(({ partition, offset }) => [partition, offset]))
  const committed = offsets(await log.committed(TOPIC_EVENTS, AGGREGATE_GROUP))
  const oldest = offsets(await log.startOffsets(TOPIC_EVENTS))
  for (const { partition, offset: end } of journal) {
    let at = Math.max(committed.get(partition) ?? 0, oldest.get(partition) ?? 0, end - RECORDS_MAX)
    while (at < end) {
      const records = await log.read(TOPIC_EVENTS, partition, at, READ_BYTES)
      if (records.length === 0) break
      yield { partition, records: records.filter(({ offset }) => offset < end) }
      at = (records.at(-1)?.offset ?? at) + 1
    }
  }
}

/** The last records of a partition before an offset, as far as the log still has them. */
export async function* recordsBefore(
  log: EventLog,
  partition: number,
  end: number,
  records: number,
): AsyncGenerator<readonly LogRecord[]> {
  const oldest = (await log.startOffsets(TOPIC_EVENTS)).find((start) => start.partition === partition)
  let at = Math.max(oldest?.offset ?? 0, end - records)
  while (at < end) {
    const read = await log.read(TOPIC_EVENTS, partition, at, READ_BYTES)
    if (read.length === 0) return
    yield read.filter(({ offset }) => offset < end)
    at = (read.at(-1)?.offset ?? at) + 1
  }
}
