import kafkajs from 'kafkajs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { connectKafkaLog } from '../../src/log/kafka/kafka-log.ts'
import type { ConsumeOptions, EventLog } from '../../src/usage/event-log.ts'
import { noLogMetrics, type ConsumerLag } from '../../src/usage/log-metrics.ts'
import { bytesOf, Collector } from '../support/collector.ts'
import { eventually } from '../support/eventually.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { type Kafka, startKafka } from '../support/kafka.ts'

const SESSION_MS = 1500
const settings = {
  sessionMsMax: SESSION_MS,
  heartbeatIntervalMs: 200,
  rebalanceMsMax: 20_000,
  retryPauseMs: 5,
  requestMsMax: 1000,
}

let proxy: FaultProxy
let kafka: Kafka
let log: EventLog
/** Another process, as far as Kafka can tell, behind the proxy. */
let remote: EventLog
let rebalances: string[] = []
let lagOfAll: () => readonly ConsumerLag[] = () => []

beforeAll(async () => {
  proxy = await startFaultProxy()
  kafka = await startKafka({
    proxyPort: proxy.port,
    settings: { 'group.min.session.timeout.ms': '500', 'log.retention.check.interval.ms': '500' },
  })
  proxy.target(kafka.proxiedPort)
  log = await connectKafkaLog({
    brokers: kafka.brokers,
    clientId: 'one',
    replicationFactor: 1,
    settings,
    metrics: {
      ...noLogMetrics,
      rebalanced: (group) => rebalances.push(group),
      observeLag: (lag) => (lagOfAll = lag),
    },
  })
  remote = await connectKafkaLog({
    brokers: [`127.0.0.1:${proxy.port}`],
    clientId: 'two',
    replicationFactor: 1,
    settings,
  })
})
beforeEach(() => {
  rebalances = []
})
afterAll(async () => {
  proxy.thaw()
  await remote.close()
  await log.close()
  await proxy.stop()
  await kafka.stop()
})

let topics = 0
async function topic(partitions: number): Promise<string> {
  const name = `consumers.${++topics}`
  await log.ensureTopic({ name, partitions, retentionMs: null })
  return name
}

async function append(name: string, partition: number, ...texts: string[]): Promise<void> {
  const outcomes = await log.append(
    name,
    texts.map((text) => ({ partition, value: bytesOf(text) })),
  )
  expect(outcomes.map(({ kind }) => kind)).toEqual(texts.map(() => 'appended'))
}

function consuming(name: string, collector: Collector, over: Partial<ConsumeOptions> = {}): ConsumeOptions {
  return {
    topic: name,
    group: `${name} group`,
    resumeAt: async () => 0,
    onBatch: collector.take,
    onFatal: collector.fail,
    ...over,
  }
}

/** Resolves when it is told to. */
function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open }
}

async function withKafkajs<T>(act: (client: kafkajs.Kafka) => Promise<T>): Promise<T> {
  return act(new kafkajs.Kafka({ brokers: [...kafka.brokers], logLevel: kafkajs.logLevel.NOTHING }))
}

describe('L5: a consumer misses nothing, or stops and says so', () => {
  it('stops when retention has passed its position, where kafkajs would jump to the start or the end', async () => {
    const name = await topic(1)
    await append(name, 0, 'a', 'b', 'c')
    await withKafkajs(async (client) => {
      const admin = client.admin()
      await admin.connect()
      await admin.fetchTopicOffsets(name) // without it kafkajs finds no metadata of the topic
      await admin.deleteTopicRecords({ topic: name, partitions: [{ partition: 0, offset: '2' }] })
      await admin.disconnect()
    })
    expect(await log.startOffsets(name)).toEqual([{ partition: 0, offset: 2 }])
    await expect(log.read(name, 0, 1, 1000)).rejects.toMatchObject({ code: 'outOfRange' })
    expect((await log.read(name, 0, 2, 1000)).map(({ offset }) => offset)).toEqual([2])
    const collector = new Collector()
    const consumer = await log.consume(consuming(name, collector, { resumeAt: async () => 1 }))
    await collector.until(() => collector.failures.length === 1)
    expect(collector.failures[0]).toMatchObject({ code: 'outOfRange', retryable: false })
    await consumer.stop()
    expect(collector.count).toBe(0)
  })

  it('stops at a hole in the offsets, which a transaction of another program leaves', async () => {
    const name = await topic(1)
    await append(name, 0, 'a')
    await withKafkajs(async (client) => {
      const producer = client.producer({
        transactionalId: 'stranger',
        maxInFlightRequests: 1,
        idempotent: true,
        createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      })
      await producer.connect()
      const transaction = await producer.transaction()
      await transaction.send({ topic: name, messages: [{ partition: 0, value: 'b' }] })
      await transaction.commit()
      await producer.disconnect()
    })
    // The mark comes a moment after the commit was answered.
    await eventually(
      () => log.endOffsets(name),
      ([end]) => end?.offset === 3,
    )
    await append(name, 0, 'after the mark')
    const collector = new Collector()
    const consumer = await log.consume(consuming(name, collector))
    await collector.until(() => collector.failures.length === 1)
    expect(collector.failures[0]).toMatchObject({ code: 'gap', retryable: false })
    expect(collector.texts(0)).not.toContain('after the mark')
    await expect(log.read(name, 0, 2, 1000)).rejects.toMatchObject({ code: 'gap' })
    await consumer.stop()
  })

  it('never makes a topic by asking for it, though the broker would', async () => {
    await expect(log.read('never.made', 0, 0, 1000)).rejects.toMatchObject({ code: 'unknownTopic' })
    await expect(log.append('never.made', [{ partition: 0, value: bytesOf('a') }])).rejects.toMatchObject({
      code: 'unknownTopic',
    })
    const names = await withKafkajs(async (client) => {
      const admin = client.admin()
      await admin.connect()
      const found = await admin.listTopics()
      await admin.disconnect()
      return found
    })
    expect(names).not.toContain('never.made')
  })
})

describe('L6: a handler may take its time', () => {
  it('its member stays in the group for many sessions, and what it commits counts', async () => {
    const name = await topic(1)
    await append(name, 0, 'a')
    const collector = new Collector()
    const held = gate()
    const startedMs = performance.now()
    const consumer = await log.consume(
      consuming(name, collector, {
        onBatch: async (batch) => {
          await held.passed
          await collector.take(batch)
        },
      }),
    )
    await eventually(
      () => performance.now() - startedMs,
      (elapsedMs) => elapsedMs > 3 * SESSION_MS,
    )
    await append(name, 0, 'b')
    const lag = await eventually(
      () => lagOfAll().find((each) => each.topic === name),
      (each) => each?.records === 2,
    )
    expect(lag?.seconds).toBeGreaterThan((2 * SESSION_MS) / 1000)
    held.open()
    await collector.until(() => collector.count === 2)
    expect(consumer.assigned()).toEqual([0])
    await consumer.commit([{ partition: 0, offset: 2 }])
    expect(await log.committed(name, `${name} group`)).toEqual([{ partition: 0, offset: 2 }])
    expect(rebalances).toEqual([`${name} group`])
    expect(collector.texts(0)).toEqual(['a', 'b'])
    await consumer.stop()
  })

  it('a partition changes hands only after the handler of the one that had it has ended', async () => {
    const name = await topic(2)
    await append(name, 0, 'a')
    await append(name, 1, 'b')
    const [first, second] = [new Collector(), new Collector()]
    const held = gate()
    let running = 0
    let runningMax = 0
    const one = await log.consume(
      consuming(name, first, {
        onBatch: async (batch) => {
          runningMax = Math.max(runningMax, ++running)
          await first.take(batch)
          await held.passed
          running--
        },
      }),
    )
    await first.until(() => first.count === 2)
    const joining = remote.consume(
      consuming(name, second, {
        onBatch: async (batch) => {
          expect(running).toBe(0)
          await second.take(batch)
        },
      }),
    )
    // The group is rebalancing now and waits for the two handlers.
    await eventually(
      () =>
        withKafkajs(async (client) => {
          const admin = client.admin()
          await admin.connect()
          const { groups } = await admin.describeGroups([`${name} group`])
          await admin.disconnect()
          return groups[0]?.state
        }),
      (state) => state === 'PreparingRebalance',
    )
    expect(second.count).toBe(0)
    held.open()
    const two = await joining
    await second.until(() => second.count > 0)
    await one.stop()
    await two.stop()
    expect(runningMax).toBe(2)
    expect([...first.failures, ...second.failures]).toEqual([])
  })
})

describe('L7: zombies do no harm', () => {
  it('a member that the group has lost commits nothing, joins again, and nothing is missed', async () => {
    const name = await topic(2)
    const group = `${name} group`
    await append(name, 0, 'a')
    await append(name, 1, 'b')
    const [zombies, others] = [new Collector(), new Collector()]
    const held = gate()
    const zombie = await remote.consume(
      consuming(name, zombies, {
        onBatch: async (batch) => {
          await zombies.take(batch)
          await held.passed
        },
      }),
    )
    await zombies.until(() => zombies.count === 2)
    proxy.freeze()
    // Its session ends while its handlers run; the other one has everything then.
    const other = await log.consume(consuming(name, others))
    await others.until(() => others.count === 2)
    expect(other.assigned()).toEqual([0, 1])
    await other.commit([
      { partition: 0, offset: 1 },
      { partition: 1, offset: 1 },
    ])
    proxy.thaw()
    await zombie.commit([
      { partition: 0, offset: 0 },
      { partition: 1, offset: 0 },
    ])
    expect(await log.committed(name, group)).toEqual([
      { partition: 0, offset: 1 },
      { partition: 1, offset: 1 },
    ])
    held.open()
    await eventually(
      () => [zombie.assigned().length, other.assigned().length],
      ([a, b]) => a === 1 && b === 1,
    )
    expect([...zombie.assigned(), ...other.assigned()].sort()).toEqual([0, 1])
    await zombie.stop()
    await other.stop()
    expect([...zombies.failures, ...others.failures]).toEqual([])
  })

  it('a consumer that dies without a word is replaced when its session ends', async () => {
    const name = await topic(2)
    const [dead, alive] = [new Collector(), new Collector()]
    const gone = await remote.consume(consuming(name, dead))
    const heir = await log.consume(consuming(name, alive))
    await eventually(
      () => heir.assigned().length + gone.assigned().length,
      (count) => count === 2,
    )
    proxy.freeze()
    await append(name, 0, 'a')
    await append(name, 1, 'b')
    await alive.until(() => alive.count === 2)
    proxy.thaw()
    await gone.stop()
    await heir.stop()
  })
})

describe('L8: a consumer that stands still is a fault', () => {
  const impatient = (over: object): Promise<EventLog> =>
    connectKafkaLog({
      brokers: kafka.brokers,
      clientId: 'impatient',
      replicationFactor: 1,
      settings: { ...settings, ...over },
    })

  it.each([
    {
      what: 'a position that is never found',
      over: { stallMsMax: 400 },
      options: { resumeAt: () => new Promise<number>(() => undefined) },
    },
    {
      what: 'a handler that never ends',
      over: { handlerMsMax: 400 },
      options: { onBatch: () => new Promise<void>(() => undefined) },
    },
  ])('$what', async ({ over, options }) => {
    const name = await topic(1)
    await append(name, 0, 'a')
    const other = await impatient(over)
    const collector = new Collector()
    await other.consume(consuming(name, collector, options))
    await collector.until(() => collector.failures.length > 0)
    expect(collector.failures).toHaveLength(1)
    expect(collector.failures[0]?.message).toContain('stands still')
    expect(collector.failures[0]).toMatchObject({ code: 'unavailable' })
    // It has left the group, so that another process has the partition at once.
    const heir = new Collector()
    const consumer = await log.consume(consuming(name, heir))
    await heir.until(() => heir.count === 1)
    await consumer.stop()
    await other.close()
  })

  it('not when there is nothing to do', async () => {
    const name = await topic(1)
    const other = await impatient({ stallMsMax: 400, fetchWaitMs: 50 })
    const collector = new Collector()
    const consumer = await other.consume(consuming(name, collector))
    const startedMs = performance.now()
    await eventually(
      () => performance.now() - startedMs,
      (elapsedMs) => elapsedMs > 1500,
    )
    await append(name, 0, 'a')
    await collector.until(() => collector.count === 1)
    expect(collector.failures).toEqual([])
    await consumer.stop()
    await other.close()
  })
})
