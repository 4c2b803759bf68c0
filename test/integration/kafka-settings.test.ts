import kafkajs from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspectBroker } from '../../src/log/kafka/inspect-broker.ts'
import { connectKafkaLog } from '../../src/log/kafka/kafka-log.ts'
import type { EventLog } from '../../src/usage/event-log.ts'
import { type Kafka, startKafka } from '../support/kafka.ts'

const DAY_MS = 86_400_000
const warnings: string[] = []
const logger = {
  warn: (_fields: object, message: string): void => void warnings.push(message),
  error: (_fields: object, message: string): void => void warnings.push(message),
}
let kafka: Kafka
let log: EventLog
let admin: kafkajs.Admin

beforeAll(async () => {
  kafka = await startKafka({ settings: {} }) // topics of fixed names: never on a cluster that was given
  log = await connectKafkaLog({ brokers: kafka.brokers, clientId: 'settings', replicationFactor: 1, logger })
  admin = new kafkajs.Kafka({ brokers: [...kafka.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
})
afterAll(async () => {
  await admin.disconnect()
  await log.close()
  await kafka.stop()
})

async function make(topic: string, settings: Readonly<Record<string, string>>): Promise<void> {
  await admin.createTopics({
    topics: [
      {
        topic,
        numPartitions: 2,
        replicationFactor: 1,
        configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
      },
    ],
  })
}

async function settingsOf(topic: string): Promise<Record<string, string>> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
  })
  return Object.fromEntries(
    (resources[0]?.configEntries ?? []).map(({ configName, configValue }) => [configName, configValue]),
  )
}

describe('L9: topics keep what they are given', () => {
  it('are made with settings that lose nothing, whatever the defaults of the broker', async () => {
    await log.ensureTopic({ name: 'settings.made', partitions: 2, retentionMs: 30 * DAY_MS })
    expect(await settingsOf('settings.made')).toMatchObject({
      'cleanup.policy': 'delete',
      'retention.ms': String(30 * DAY_MS),
      'retention.bytes': '-1',
      'message.timestamp.type': 'LogAppendTime',
      'unclean.leader.election.enable': 'false',
      'min.insync.replicas': '1',
      'flush.messages': '1',
      'max.message.bytes': '1048588',
    })
    await log.ensureTopic({ name: 'settings.forever', partitions: 1, retentionMs: null })
    expect(await settingsOf('settings.forever')).toMatchObject({ 'retention.ms': '-1' })
  })

  it('take the largest record, and as many of them in one append as there are', async () => {
    await log.ensureTopic({ name: 'settings.large', partitions: 1, retentionMs: null })
    const value = new Uint8Array(900 * 1024).fill(7)
    const outcomes = await log.append('settings.large', [
      { partition: 0, value },
      { partition: 0, value },
      { partition: 0, value: value.subarray(0, 10) },
    ])
    expect(outcomes).toEqual([0, 1, 2].map((offset) => ({ kind: 'appended', partition: 0, offset })))
    expect((await log.read('settings.large', 0, 0, 10_000_000)).map((record) => record.value.length)).toEqual(
      [921_600, 921_600, 10],
    )
  })

  it('are refused when they are set up to lose records, saying what to change', async () => {
    await make('settings.compacted', { 'cleanup.policy': 'compact' })
    await expect(
      log.ensureTopic({ name: 'settings.compacted', partitions: 2, retentionMs: null }),
    ).rejects.toMatchObject({
      code: 'unsafeSettings',
      retryable: false,
      message: expect.stringContaining('--add-config cleanup.policy=delete') as string,
    })
  })

  it('are taken with a warning when they merely keep less than was asked for', async () => {
    await make('settings.short', { 'retention.ms': '3600000', 'message.timestamp.type': 'LogAppendTime' })
    warnings.length = 0
    await log.ensureTopic({ name: 'settings.short', partitions: 2, retentionMs: 30 * DAY_MS })
    expect(warnings.filter((warning) => warning.includes('retention.ms'))).toHaveLength(2)
    expect(warnings.some((warning) => warning.includes('flush.messages=1'))).toBe(true)
  })

  it('cannot have more replicas than there are brokers', async () => {
    await expect(
      connectKafkaLog({ brokers: kafka.brokers, clientId: 'settings', replicationFactor: 3 }),
    ).rejects.toMatchObject({
      code: 'unsafeSettings',
      message: expect.stringContaining('lower KAFKA_REPLICATION_FACTOR') as string,
    })
  })

  it('one replica on one broker is allowed, and said to be as safe as one disk', async () => {
    warnings.length = 0
    const other = await connectKafkaLog({
      brokers: kafka.brokers,
      clientId: 'settings',
      replicationFactor: 1,
      logger,
    })
    await other.close()
    expect(warnings).toEqual([expect.stringContaining('as safe as one disk')])
  })
})

describe('what doctor shows', () => {
  it('judges the cluster, its brokers and the topics that there are', async () => {
    await make('settings.doctor', { 'cleanup.policy': 'compact' })
    const checks = await inspectBroker({
      brokers: kafka.brokers,
      clientId: 'doctor',
      replicationFactor: 1,
      topics: ['settings.doctor', 'settings.absent'],
    })
    const status = Object.fromEntries(checks.map((check) => [check.name, check.status]))
    expect(status).toMatchObject({
      'Kafka: reachable': 'ok',
      'Kafka: replication': 'warning',
      'settings.doctor: cleanup.policy': 'failed',
      'settings.doctor: message.timestamp.type': 'warning',
      'settings.doctor: flush.messages': 'warning',
      'settings.absent': 'ok',
    })
  })

  it('a cluster that is not there is a check that failed', async () => {
    const checks = await inspectBroker({
      brokers: ['127.0.0.1:1'],
      clientId: 'doctor',
      replicationFactor: 1,
      topics: [],
    })
    expect(checks).toMatchObject([{ name: 'Kafka: reachable', status: 'failed' }])
    expect(checks[0]?.detail).toContain('127.0.0.1:1')
  })
})
