import { instantOf } from '../../time/instant.ts'
import { LogError, type LogRecord } from '../../usage/event-log.ts'
import { BATCH_RECORDS_MAX } from '../bounds.ts'
import { assertContiguous, assertReadable } from '../contiguity.ts'
import type { Cluster } from './cluster.ts'
import { brokerFault, KafkaFault } from './kafka-fault.ts'
import { edgeOffsets } from './offsets.ts'
import type { FetchedPartition } from './protocol.ts'
import { askAgain } from './retrying.ts'
import { TOPIC_MESSAGE_BYTES_MAX } from './settings.ts'

const READ_UNCOMMITTED = 0
const OFFSET_OUT_OF_RANGE = 1

export interface FetchRequest {
  readonly topic: string
  readonly partition: number
  readonly fromOffset: number
  readonly bytesMax: number
  /** How long the broker holds the answer back when there is nothing. */
  readonly waitMs: number
  /** Which connection is used; one that waits must be nobody else's. */
  readonly purpose: string
}

export interface Fetched {
  /** From `fromOffset` on, without a hole. Empty at the end of the partition; a broker may also withhold them. */
  readonly records: readonly LogRecord[]
  /** The next offset of the partition, as far as all in-sync replicas have it. */
  readonly end: number
}

/**
 * One fetch of one partition. kafkajs's consumer goes to another offset by itself when the one it wants is not there;
 * this says so.
 * @throws KafkaFault when it may be tried again; LogError `outOfRange`, `gap`
 */
export async function fetchRecords(cluster: Cluster, request: FetchRequest): Promise<Fetched> {
  const { topic, partition, fromOffset, purpose } = request
  try {
    const leader = await cluster.leader(topic, partition)
    const connection = await cluster.connection(leader, purpose)
    const answer = await connection.call('Fetch', {
      maxWaitTime: request.waitMs,
      minBytes: 1,
      maxBytes: request.bytesMax,
      isolationLevel: READ_UNCOMMITTED,
      topics: [{ topic, partitions: [{ partition, fetchOffset: fromOffset, maxBytes: request.bytesMax }] }],
    })
    if (answer.errorCode !== 0) throw brokerFault(topic, answer.errorCode)
    const fetched = answer.responses
      .flatMap((response) => response.partitions)
      .find((each) => each.partition === partition)
    if (fetched === undefined) throw brokerFault(`${topic} partition ${partition}`, -1)
    if (fetched.errorCode === OFFSET_OUT_OF_RANGE) return await outOfRange(cluster, request)
    if (fetched.errorCode !== 0) throw brokerFault(`${topic} partition ${partition}`, fetched.errorCode)
    const records = recordsOf(fetched, fromOffset)
    assertContiguous(topic, partition, fromOffset, records)
    return { records, end: Math.max(Number(fetched.highWatermark), fromOffset + records.length) }
  } catch (error) {
    if (error instanceof KafkaFault && error.isStale) cluster.forget(topic)
    throw error
  }
}

/** The broker gives whole batches, so the first may begin before the offset that was asked for. */
function recordsOf(fetched: FetchedPartition, fromOffset: number): LogRecord[] {
  const records: LogRecord[] = []
  for (const { offset, timestamp, value, isControlRecord } of fetched.messages) {
    const at = Number(offset)
    if (at < fromOffset) continue
    if (isControlRecord) {
      throw new LogError(
        'gap',
        `partition ${fetched.partition}, offset ${at}: the mark of a transaction, which Tallyman never makes, takes the place of a record. Another program writes to this topic; with such marks nobody can tell that nothing is missing.`,
        { retryable: false },
      )
    }
    if (value === null) {
      throw new LogError(
        'corrupt',
        `partition ${fetched.partition}, offset ${at}: a record without a value, which Tallyman never writes. Another program writes to this topic.`,
        { retryable: false },
      )
    }
    records.push({ offset: at, value, appendedAt: instantOf(Number(timestamp)) })
  }
  return records
}

/** @throws LogError `outOfRange`; KafkaFault when the range has the offset after all, as right after a change of leader */
async function outOfRange(cluster: Cluster, request: FetchRequest): Promise<never> {
  const { topic, partition, fromOffset } = request
  const [starts, ends] = [
    await edgeOffsets(cluster, topic, 'start'),
    await edgeOffsets(cluster, topic, 'end'),
  ]
  assertReadable(topic, partition, fromOffset, {
    start: starts[partition]?.offset ?? 0,
    end: ends[partition]?.offset ?? 0,
  })
  throw new KafkaFault(`${topic} partition ${partition}: offset ${fromOffset} is not served yet`, {
    errorCode: 78,
    isInDoubt: false,
  })
}

/**
 * A stretch of a partition: as many records as hold `bytesMax`, at least one where there is one.
 * @throws LogError `outOfRange`, `gap`, `unavailable`, `unknownTopic`
 */
export async function readRange(
  cluster: Cluster,
  topic: string,
  partition: number,
  fromOffset: number,
  bytesMax: number,
): Promise<readonly LogRecord[]> {
  const partitions = await cluster.partitions(topic)
  if (partition >= partitions || partition < 0) throw new RangeError(`${topic} has no partition ${partition}`)
  assertReadable(topic, partition, fromOffset, { start: 0, end: Number.MAX_SAFE_INTEGER })
  const records: LogRecord[] = []
  let bytes = 0
  for (;;) {
    const next = fromOffset + records.length
    const { records: fetched, end } = await askAgain(
      `reading ${topic} partition ${partition}`,
      cluster.settings.askMsMax,
      async () => {
        const got = await fetchRecords(cluster, {
          topic,
          partition,
          fromOffset: next,
          bytesMax: Math.max(bytesMax - bytes, TOPIC_MESSAGE_BYTES_MAX),
          waitMs: 0,
          purpose: 'read',
        })
        if (got.records.length > 0 || got.end <= next) return got
        throw new KafkaFault(`offset ${next} lies before the end and is not given`, { isInDoubt: false })
      },
    )
    for (const record of fetched) {
      records.push(record)
      bytes += record.value.length
      if (bytes >= bytesMax || records.length >= BATCH_RECORDS_MAX) return records
    }
    if (fromOffset + records.length >= end) return records
  }
}
