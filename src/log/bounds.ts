import type { AppendRecord, TopicSpec } from '../usage/event-log.ts'

/** Largest record. Kafka's own bound of a batch is 1 MiB; a pack of events is closed far below. */
export const RECORD_BYTES_MAX = 900 * 1024
/** Bytes that one delivery to a consumer holds, give or take one record. */
export const BATCH_BYTES_MAX = 4 * 1024 * 1024
/** Records of one delivery: reading them is synchronous in the embedded log, about 2 µs each. */
export const BATCH_RECORDS_MAX = 4000

const TOPIC_NAME = /^[a-z0-9][a-z0-9.-]{0,200}$/
const PARTITIONS_MAX = 1024

/** @throws RangeError when the specification cannot name a topic: a fault in the program */
export function assertTopicSpec(spec: TopicSpec): void {
  if (!TOPIC_NAME.test(spec.name)) throw new RangeError(`not a name of a topic: ${spec.name}`)
  if (!Number.isInteger(spec.partitions) || spec.partitions < 1 || spec.partitions > PARTITIONS_MAX) {
    throw new RangeError(
      `${spec.name}: ${spec.partitions} partitions; from 1 to ${PARTITIONS_MAX} are possible`,
    )
  }
}

/** @throws RangeError when a record cannot be on the topic: a fault in the program, nothing was attempted */
export function assertRecords(topic: string, partitions: number, records: readonly AppendRecord[]): void {
  for (const { partition, value } of records) {
    if (!Number.isInteger(partition) || partition < 0 || partition >= partitions) {
      throw new RangeError(`${topic} has no partition ${partition}`)
    }
    if (value.length === 0) throw new RangeError(`${topic}: a record must hold at least one byte`)
    if (value.length > RECORD_BYTES_MAX) {
      throw new RangeError(`${topic}: a record of ${value.length} bytes is larger than ${RECORD_BYTES_MAX}`)
    }
  }
}
