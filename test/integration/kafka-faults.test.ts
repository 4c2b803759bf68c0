import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { connectKafkaLog } from '../../src/log/kafka/kafka-log.ts'
import type { AppendOutcome, EventLog } from '../../src/usage/event-log.ts'
import { bytesOf, Collector, textOf } from '../support/collector.ts'
import { eventually } from '../support/eventually.ts'
import { startFaultProxy, type FaultProxy, type ProduceFault } from '../support/fault-proxy.ts'
import { type Kafka, startKafka } from '../support/kafka.ts'

let proxy: FaultProxy
let kafka: Kafka
/** Through the proxy; and one that sees the broker as it is. */
let log: EventLog
let direct: EventLog
const warnings: string[] = []
const onWarning = (warning: Error): void => void warnings.push(warning.name)
const REQUEST_MS_MAX = 1500
/** Each append is synced to disk; a machine that does much else at the same time needs long for some of them. */
const BUSY_MS_MAX = 90_000

beforeAll(async () => {
  process.on('warning', onWarning)
  proxy = await startFaultProxy()
  kafka = await startKafka({ proxyPort: proxy.port })
  proxy.target(kafka.proxiedPort)
  const options = { clientId: 'faults', replicationFactor: 1 }
  direct = await connectKafkaLog({ ...options, brokers: kafka.brokers })
  log = await connectKafkaLog({
    ...options,
    brokers: [`127.0.0.1:${proxy.port}`],
    settings: { requestMsMax: REQUEST_MS_MAX },
  })
})
beforeEach(() => proxy.onProduce(null))
afterAll(async () => {
  await log.close()
  await direct.close()
  await proxy.stop()
  await kafka.stop()
  process.off('warning', onWarning)
})

let topics = 0
async function topic(partitions: number): Promise<string> {
  const name = `faults.${++topics}`
  await direct.ensureTopic({ name, partitions, retentionMs: null })
  return name
}

async function texts(name: string, partition: number): Promise<string[]> {
  const end = (await direct.endOffsets(name))[partition]?.offset ?? 0
  const found: string[] = []
  while (found.length < end) {
    found.push(...(await direct.read(name, partition, found.length, 4_000_000)).map(textOf))
  }
  return found
}

/** Every outcome that says appended must be found where it says. */
async function expectReadable(
  name: string,
  appends: readonly { readonly texts: readonly string[]; readonly outcomes: readonly AppendOutcome[] }[],
): Promise<number> {
  const found = new Map<number, string[]>()
  let acknowledged = 0
  for (const { texts: values, outcomes } of appends) {
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.kind === 'failed') continue
      const { partition, offset } = outcome
      if (!found.has(partition)) found.set(partition, await texts(name, partition))
      expect(found.get(partition)?.[offset]).toBe(values[i])
      acknowledged++
    }
  }
  return acknowledged
}

function times(count: number, fault: ProduceFault): () => ProduceFault | null {
  let left = count
  return () => (left-- > 0 ? fault : null)
}

describe('L2: what is acknowledged is on the log', () => {
  it('when connections are cut after the append, under concurrent appends: the mode in which kafkajs loses records', async () => {
    const name = await topic(3)
    let requests = 0
    proxy.onProduce(() => {
      requests++
      if (requests % 3 === 0) return { kind: 'cutBeforeAck' }
      return requests % 5 === 0 ? { kind: 'cutBeforeAppend' } : null
    })
    const appends = []
    for (let round = 0; round < 12; round++) {
      const wave = Array.from({ length: 10 }, async (_, i) => {
        const values = [`${round}/${i}/a`, `${round}/${i}/b`]
        const outcomes = await log.append(
          name,
          values.map((value, j) => ({ partition: (i + j) % 3, value: bytesOf(value) })),
        )
        return { texts: values, outcomes }
      })
      appends.push(...(await Promise.all(wave)))
    }
    expect(requests).toBeGreaterThan(12)
    expect(await expectReadable(name, appends)).toBe(240)
  })

  it('an append whose answer is lost is sent again, and stands on the log twice at most for each loss', async () => {
    const name = await topic(1)
    proxy.onProduce(times(1, { kind: 'cutBeforeAck' }))
    const outcomes = await log.append(name, [{ partition: 0, value: bytesOf('once') }])
    expect(outcomes).toEqual([{ kind: 'appended', partition: 0, offset: 1 }])
    expect(await texts(name, 0)).toEqual(['once', 'once'])
  })

  it('an answer that comes too late is in doubt: the append is sent again on a new connection', async () => {
    const name = await topic(1)
    proxy.onProduce(times(1, { kind: 'holdAck' }))
    const outcomes = await log.append(name, [{ partition: 0, value: bytesOf('slow') }])
    proxy.release()
    expect(outcomes[0]?.kind).toBe('appended')
    expect(await texts(name, 0)).toEqual(['slow', 'slow'])
  })

  it('a failed partition alone is sent again', async () => {
    const name = await topic(2)
    proxy.onProduce(times(1, { kind: 'answer', partition: 1, errorCode: 6 }))
    const outcomes = await log.append(name, [
      { partition: 0, value: bytesOf('well') },
      { partition: 1, value: bytesOf('again') },
    ])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['appended', 'appended'])
    expect(await texts(name, 0)).toEqual(['well'])
    expect(await texts(name, 1)).toEqual(['again', 'again'])
  })

  it('the order within a partition stands when a batch is sent again', async () => {
    const name = await topic(1)
    proxy.onProduce(times(2, { kind: 'cutBeforeAppend' }))
    const values = Array.from({ length: 20 }, (_, i) => `${i}`)
    await Promise.all(values.map((value) => log.append(name, [{ partition: 0, value: bytesOf(value) }])))
    expect(await texts(name, 0)).toEqual(values)
  })
})

describe('L3: what cannot be appended fails in bounded time, and says whether it may be on the log', () => {
  it('in doubt when the answer never comes', async () => {
    const name = await topic(1)
    proxy.onProduce(times(Infinity, { kind: 'cutBeforeAck' }))
    const startedMs = performance.now()
    const outcomes = await log.append(name, [{ partition: 0, value: bytesOf('lost answer') }])
    expect(outcomes).toMatchObject([{ kind: 'failed', partition: 0, indefinite: true }])
    expect(performance.now() - startedMs).toBeLessThan(2000 + REQUEST_MS_MAX + 1000)
    expect(new Set(await texts(name, 0))).toEqual(new Set(['lost answer']))
  })

  it('certain when the broker refuses it', async () => {
    const name = await topic(1)
    proxy.onProduce(times(1, { kind: 'answer', partition: 0, errorCode: 10 }))
    expect(await log.append(name, [{ partition: 0, value: bytesOf('refused') }])).toMatchObject([
      { kind: 'failed', indefinite: false, reason: expect.stringContaining('MESSAGE_TOO_LARGE') as string },
    ])
  })

  it('a connection that has died without a sign is given up; the next append opens another', async () => {
    const name = await topic(1)
    await log.append(name, [{ partition: 0, value: bytesOf('before') }])
    proxy.freeze()
    const startedMs = performance.now()
    const outcomes = await log.append(name, [{ partition: 0, value: bytesOf('into the dark') }])
    expect(outcomes).toMatchObject([{ kind: 'failed', indefinite: true }])
    expect(performance.now() - startedMs).toBeLessThan(2000 + 2 * REQUEST_MS_MAX + 2000)
    proxy.thaw()
    const after = await eventually(
      () => log.append(name, [{ partition: 0, value: bytesOf('after') }]),
      ([outcome]) => outcome?.kind === 'appended',
    )
    await expectReadable(name, [{ texts: ['after'], outcomes: after }])
  })

  it('what waits is bounded: an append beyond is refused before anything is sent', async () => {
    const name = await topic(1)
    const small = await connectKafkaLog({
      brokers: [`127.0.0.1:${proxy.port}`],
      clientId: 'small',
      replicationFactor: 1,
      settings: { pendingBytesMax: 1000 },
    })
    proxy.onProduce(times(1, { kind: 'holdAck' }))
    const held = small.append(name, [{ partition: 0, value: new Uint8Array(800).fill(1) }])
    await eventually(
      () => proxy.held(),
      (count) => count === 1,
    )
    await expect(
      small.append(name, [{ partition: 0, value: new Uint8Array(300).fill(2) }]),
    ).rejects.toMatchObject({ code: 'unavailable', retryable: true })
    proxy.release()
    expect(await held).toMatchObject([{ kind: 'appended', offset: 0 }])
    expect((await direct.endOffsets(name))[0]?.offset).toBe(1)
    await small.close()
  })
})

describe('L4: one produce request in flight per broker', () => {
  it('carries what has come meanwhile for all partitions and topics', async () => {
    const names = [await topic(4), await topic(4)]
    for (const name of names) await log.append(name, [{ partition: 0, value: bytesOf('known') }])
    const before = proxy.produceRequests()
    proxy.onProduce(times(1, { kind: 'holdAck' }))
    const first = log.append(names[0] ?? '', [{ partition: 0, value: bytesOf('first') }])
    await eventually(
      () => proxy.held(),
      (count) => count === 1,
    )
    const rest = Array.from({ length: 80 }, (_, i) =>
      log.append(names[i % 2] ?? '', [{ partition: i % 4, value: bytesOf(`${i}`) }]),
    )
    proxy.release()
    const outcomes = (await Promise.all([first, ...rest])).flat()
    expect(outcomes.filter(({ kind }) => kind === 'failed')).toEqual([])
    expect(proxy.produceRequests() - before).toBe(2)
    expect(proxy.produceInFlightMax()).toBe(1)
  })
})

describe('a broker that dies and comes back', () => {
  it('L2, L5: loses nothing acknowledged, and its consumer misses nothing and repeats nothing', async () => {
    const name = await topic(2)
    const collector = new Collector()
    const durable = new Map<number, number>()
    const consumer = await direct.consume({
      topic: name,
      group: 'restarts',
      resumeAt: async (partition) => durable.get(partition) ?? 0,
      onBatch: async (batch) => {
        durable.set(batch.partition, (batch.records.at(-1)?.offset ?? 0) + 1)
        await collector.take(batch)
      },
      onFatal: collector.fail,
    })
    const appends: { texts: string[]; outcomes: readonly AppendOutcome[] }[] = []
    const over = new AbortController()
    const load = (async () => {
      for (let n = 0; !over.signal.aborted; n++) {
        const values = [`${n}/0`, `${n}/1`]
        const outcomes = await direct.append(
          name,
          values.map((value, partition) => ({ partition, value: bytesOf(value) })),
        )
        appends.push({ texts: values, outcomes })
      }
    })()
    const acknowledged = (): number =>
      appends.flatMap(({ outcomes }) => outcomes).filter(({ kind }) => kind === 'appended').length
    for (let kill = 0; kill < 2; kill++) {
      const before = acknowledged()
      await eventually(acknowledged, (count) => count > before + 50, BUSY_MS_MAX)
      await kafka.kill9()
      await kafka.restart()
    }
    const before = acknowledged()
    await eventually(acknowledged, (count) => count > before + 50, BUSY_MS_MAX)
    over.abort()
    await load
    expect(await expectReadable(name, appends)).toBe(acknowledged())
    const ends = await direct.endOffsets(name)
    await collector.until(() => ends.every(({ partition, offset }) => durable.get(partition) === offset))
    await consumer.stop()
    for (const { partition, offset } of ends) {
      expect(collector.records.get(partition)?.map((record) => record.offset)).toEqual(
        Array.from({ length: offset }, (_, i) => i),
      )
    }
    expect(collector.failures).toEqual([])
  })
})

it("prints no warning of kafkajs's timers", () => {
  expect(warnings).not.toContain('TimeoutNegativeWarning')
})
