import kafkajs from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspectBroker } from '../../src/log/kafka/inspect-broker.ts'
import { connectKafkaLog } from '../../src/log/kafka/kafka-log.ts'
import type { AppendOutcome, EventLog } from '../../src/usage/event-log.ts'
import { bytesOf, Collector, textOf } from '../support/collector.ts'
import { eventually } from '../support/eventually.ts'
import { type Kafka, startKafka } from '../support/kafka.ts'

const TOPIC = 'cluster.events'
const PARTITIONS = 6
let kafka: Kafka
let log: EventLog

beforeAll(async () => {
  kafka = await startKafka({ nodes: 3 })
  log = await connectKafkaLog({ brokers: kafka.brokers, clientId: 'cluster', replicationFactor: 3 })
  await log.ensureTopic({ name: TOPIC, partitions: PARTITIONS, retentionMs: null })
})
afterAll(async () => {
  await log.close()
  await kafka.stop()
})

/** Leader by partition, as the cluster sees it. */
async function leaders(): Promise<number[]> {
  const admin = new kafkajs.Kafka({ brokers: [...kafka.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  const { topics } = await admin.fetchTopicMetadata({ topics: [TOPIC] })
  await admin.disconnect()
  return (topics[0]?.partitions ?? []).map(({ leader }) => leader)
}

describe('three brokers, three replicas, two in sync at least', () => {
  it('is what doctor calls well', async () => {
    const checks = await inspectBroker({
      brokers: kafka.brokers,
      clientId: 'doctor',
      replicationFactor: 3,
      topics: [TOPIC],
    })
    expect(checks.filter(({ status }) => status !== 'ok')).toEqual([])
    expect(checks.find(({ name }) => name === `${TOPIC}: min.insync.replicas`)?.detail).toBe('2')
  })

  it('L2, L5: loses nothing acknowledged and delivers all of it when leaders are killed under load', async () => {
    const collector = new Collector()
    const durable = new Map<number, number>()
    const consumer = await log.consume({
      topic: TOPIC,
      group: 'cluster',
      resumeAt: async (partition) => durable.get(partition) ?? 0,
      onBatch: async (batch) => {
        durable.set(batch.partition, (batch.records.at(-1)?.offset ?? 0) + 1)
        await collector.take(batch)
      },
      onFatal: collector.fail,
    })
    const acknowledged: { partition: number; offset: number; text: string }[] = []
    const over = new AbortController()
    const load = (async () => {
      for (let n = 0; !over.signal.aborted; n++) {
        const values = Array.from({ length: PARTITIONS }, (_, partition) => `${n}/${partition}`)
        const outcomes: readonly AppendOutcome[] = await log.append(
          TOPIC,
          values.map((value, partition) => ({ partition, value: bytesOf(value) })),
        )
        for (const [i, outcome] of outcomes.entries()) {
          if (outcome.kind === 'appended') acknowledged.push({ ...outcome, text: values[i] ?? '' })
        }
      }
    })()
    const onAll = (): Promise<number> => {
      const before = acknowledged.length
      return eventually(
        () => new Set(acknowledged.slice(before).map(({ partition }) => partition)).size,
        (partitions) => partitions === PARTITIONS,
      )
    }
    for (const partition of [0, 1]) {
      await onAll()
      const leader = (await leaders())[partition]
      const node = kafka.nodes.find(({ ports }) => ports.id === leader)
      if (node === undefined) throw new Error(`partition ${partition} has no leader`)
      await node.kill9()
      // With one broker gone the other two take over every partition.
      await onAll()
      await node.start()
    }
    await onAll()
    over.abort()
    await load
    const ends = await log.endOffsets(TOPIC)
    await collector.until(() =>
      ends.every(({ partition, offset }) => (durable.get(partition) ?? 0) >= offset),
    )
    await consumer.stop()
    expect(collector.failures).toEqual([])
    for (const { partition, offset } of ends) {
      const records = collector.records.get(partition) ?? []
      expect(records.map((record) => record.offset)).toEqual(Array.from({ length: offset }, (_, i) => i))
    }
    for (const { partition, offset, text } of acknowledged) {
      expect(textOf(collector.records.get(partition)?.[offset])).toBe(text)
    }
  })

  it('L3: refuses to acknowledge what one broker alone would have', async () => {
    const [first, second] = kafka.nodes
    if (first === undefined || second === undefined) throw new Error('no brokers')
    first.freeze()
    second.freeze()
    const outcomes = await log.append(
      TOPIC,
      Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, value: bytesOf('alone') })),
    )
    expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => 'failed'))
    first.thaw()
    second.thaw()
    await eventually(
      () => log.append(TOPIC, [{ partition: 0, value: bytesOf('together') }]),
      ([outcome]) => outcome?.kind === 'appended',
      60_000,
    )
  })
})
