import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writevSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import kafkajs from 'kafkajs'
import { openEmbeddedLog } from '../src/log/embedded/embedded-log.ts'
import { connectKafkaLog } from '../src/log/kafka/kafka-log.ts'
import type { EventLog } from '../src/usage/event-log.ts'
import { startKafka } from '../test/support/kafka.ts'
import type { Figure } from './figure.ts'

const PARTITIONS = 8
const EVENTS_PER_PACK = 100
const BYTES_PER_EVENT = 130
const WARM_UP_APPENDS = 50
const RUN_MS = 4000

const records = Array.from({ length: PARTITIONS }, (_, partition) => ({
  partition,
  value: new Uint8Array(EVENTS_PER_PACK * BYTES_PER_EVENT).map((_byte, i) => (i * 31 + partition) & 0xff),
}))
const EVENTS_PER_APPEND = PARTITIONS * EVENTS_PER_PACK

/**
 * One append after another, as ingest does it: a pack of 100 events for each of 8 partitions, durable before the next
 * begins. The floor writes the same bytes to a file and syncs it.
 */
export async function run(): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-bench-log-'))
  const kafka = await startKafka()
  try {
    const floor = await floorRate(join(directory, 'floor'))
    const embedded = await openEmbeddedLog({ directory: join(directory, 'log') })
    const kafkaLog = await connectKafkaLog({
      brokers: kafka.brokers,
      clientId: 'bench',
      replicationFactor: 1,
    })
    await kafkaLog.ensureTopic({ name: 'bench.synced', partitions: PARTITIONS, retentionMs: null })
    await makeUnsynced(kafka.brokers, 'bench.unsynced')
    await embedded.ensureTopic({ name: 'bench.embedded', partitions: PARTITIONS, retentionMs: null })
    const measured = [
      ['embedded, synced', await logRate(embedded, 'bench.embedded')],
      ['Kafka, one broker, synced', await logRate(kafkaLog, 'bench.synced')],
      ['Kafka, one broker, not synced', await logRate(kafkaLog, 'bench.unsynced')],
    ] as const
    const reading = [
      ['embedded', await readRate(embedded, 'bench.embedded')],
      ['Kafka', await readRate(kafkaLog, 'bench.unsynced')],
    ] as const
    await embedded.close()
    await kafkaLog.close()
    return [
      ...measured.flatMap(([name, rate]): Figure[] => [
        {
          metric: `append, ${name}`,
          value: rate.perSecond * EVENTS_PER_APPEND,
          unit: 'events/s',
          floor: floor.perSecond * EVENTS_PER_APPEND,
        },
        { metric: `append p50, ${name}`, value: rate.p50Ms, unit: 'ms', floor: floor.p50Ms },
        { metric: `append p99, ${name}`, value: rate.p99Ms, unit: 'ms', floor: floor.p99Ms },
      ]),
      ...reading.map(([name, perSecond]): Figure => ({
        metric: `read, ${name}`,
        value: perSecond * EVENTS_PER_PACK,
        unit: 'events/s',
      })),
    ]
  } finally {
    await kafka.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

interface Rate {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

async function measure(append: () => Promise<void>): Promise<Rate> {
  for (let i = 0; i < WARM_UP_APPENDS; i++) await append()
  const tookMs: number[] = []
  const startedMs = performance.now()
  for (let at = startedMs; at - startedMs < RUN_MS;) {
    await append()
    const now = performance.now()
    tookMs.push(now - at)
    at = now
  }
  const totalMs = performance.now() - startedMs
  tookMs.sort((a, b) => a - b)
  const quantile = (q: number): number => tookMs[Math.floor(tookMs.length * q)] ?? 0
  return { perSecond: (tookMs.length * 1000) / totalMs, p50Ms: quantile(0.5), p99Ms: quantile(0.99) }
}

async function floorRate(file: string): Promise<Rate> {
  const descriptor = openSync(file, 'w')
  const values = records.map(({ value }) => value)
  const rate = await measure(async () => {
    writevSync(descriptor, values)
    fdatasyncSync(descriptor)
  })
  closeSync(descriptor)
  return rate
}

function logRate(log: EventLog, topic: string): Promise<Rate> {
  return measure(async () => {
    const outcomes = await log.append(topic, records)
    const failed = outcomes.find((outcome) => outcome.kind === 'failed')
    if (failed !== undefined) throw new Error(failed.reason)
  })
}

/** Records a second of one consumer of all partitions, from the start to what is there now. */
async function readRate(log: EventLog, topic: string): Promise<number> {
  const ends = await log.endOffsets(topic)
  const total = ends.reduce((sum, { offset }) => sum + offset, 0)
  const startedMs = performance.now()
  let seen = 0
  let done: () => void = () => undefined
  let broken: (error: Error) => void = () => undefined
  const finished = new Promise<void>((resolve, reject) => {
    done = resolve
    broken = reject
  })
  const consumer = await log.consume({
    topic,
    group: 'bench',
    resumeAt: async () => 0,
    onBatch: async (batch) => {
      seen += batch.records.length
      if (seen >= total) done()
    },
    onFatal: broken,
  })
  await finished
  const seconds = (performance.now() - startedMs) / 1000
  await consumer.stop()
  return total / seconds
}

/** What a broker of a cluster does by default: it acknowledges before its disk has the records. */
async function makeUnsynced(brokers: readonly string[], topic: string): Promise<void> {
  const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: 1 }] })
  await admin.disconnect()
}
