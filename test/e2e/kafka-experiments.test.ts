import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UsageStore } from '../../src/aggregate/ports.ts'
import { connectUsageStore } from '../../src/store/usage-store.ts'
import { type ClickHouseServer, startClickHouseServer } from '../support/clickhouse-server.ts'
import { eventually } from '../support/eventually.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { type Kafka, startKafka } from '../support/kafka.ts'
import { type Load, startLoad } from '../support/load.ts'
import {
  accountOf,
  accountText,
  createLoadMeters,
  NOTHING_ASTRAY,
  settledMeters,
} from '../support/load-account.ts'
import { type ServerProcess, startServer } from '../support/server.ts'

/** Below the 2 s for which an append is tried: nobody has to hear of it. */
const STALL_MS = 1200
/** Above them: what waits is answered 503. */
/** Also longer than a group member may be silent: consumers lose their partitions and must find their way back. */
const EXPIRE_MS = 12_000

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-experiments-'))
let proxy: FaultProxy
let kafka: Kafka
let clickhouse: ClickHouseServer
let store: UsageStore
let server: ServerProcess

/** What was opened, in order: it is closed backwards, also where a later one did not open. */
const undo: (() => unknown)[] = [() => rmSync(scratch, { recursive: true, force: true })]
const start = (): Promise<ServerProcess> =>
  startServer({
    dataDirectory: join(scratch, 'data'),
    env: { KAFKA_BROKERS: `127.0.0.1:${proxy.port}`, CLICKHOUSE_URL: clickhouse.url },
  })

beforeAll(async () => {
  proxy = await startFaultProxy()
  undo.push(() => proxy.stop())
  kafka = await startKafka({ proxyPort: proxy.port })
  undo.push(() => kafka.stop())
  proxy.target(kafka.proxiedPort)
  clickhouse = await startClickHouseServer()
  undo.push(() => clickhouse.stop())
  server = await start()
  undo.push(() => server.kill9())
  store = await connectUsageStore({ kind: 'url', url: clickhouse.url })
  undo.push(() => store.close())
})
afterAll(async () => {
  for (const step of undo.reverse()) await step()
})

/** Two thousand events a second, calm; then the fault; then as many again, and the account. */
async function experiment(name: string, fault: (load: Load) => Promise<void>): Promise<Load> {
  await createLoadMeters(server, name)
  const load = startLoad({ name, target: () => server, eventsPerSecond: 2000, answerMsMax: 30_000 })
  const more = async (events: number): Promise<void> => {
    const before = load.acknowledged.size
    await eventually(
      () => load.acknowledged.size,
      (size) => size >= before + events,
    )
  }
  try {
    await more(2000)
    await fault(load)
    await more(2000)
  } finally {
    await load.stop()
  }
  const settled = await settledMeters(server, load).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${server.errors().slice(-5000)}`, { cause: error })
  })
  const account = await accountOf(load, store, settled)
  console.log(
    `${name}: ${accountText(account)}; answers ${JSON.stringify([...load.answers])}, the slowest after ${load.slowestMs().toFixed(0)} ms`,
  )
  expect(account).toMatchObject(NOTHING_ASTRAY)
  expect(load.faults).toEqual([])
  return load
}

describe('the four experiments in which others lose events', () => {
  it('I1, stall: a broker that stands still for a moment', async () => {
    await experiment('stall', async () => {
      kafka.nodes[0]?.freeze()
      await pause(STALL_MS)
      kafka.nodes[0]?.thaw()
    })
  })

  it('I1, kill: a broker that is killed, and a server that is', async () => {
    const load = await experiment('kill', async () => {
      await kafka.kill9()
      await kafka.restart()
      await server.kill9()
      server = await start()
    })
    expect(load.answers.get('broken')).toBeGreaterThan(0)
  })

  it('I1, expire: a broker that stands still for longer than an append is tried', async () => {
    const load = await experiment('expire', async (running) => {
      kafka.nodes[0]?.freeze()
      const acknowledged = running.acknowledged.size
      await pause(EXPIRE_MS)
      // What was on its way to be acknowledged when the broker froze, and nothing else.
      expect(running.acknowledged.size).toBeLessThan(acknowledged + 500)
      kafka.nodes[0]?.thaw()
    })
    expect(load.answers.get('503')).toBeGreaterThan(0)
  })

  it('I1, I5, duplicate: connections that are cut between append and acknowledgement', async () => {
    let cuts = 0
    const load = await experiment('duplicate', async (running) => {
      let requests = 0
      proxy.onProduce(() => {
        if (++requests % 3 !== 0) return null
        cuts++
        return { kind: 'cutBeforeAck' }
      })
      const before = running.acknowledged.size
      await eventually(
        () => running.acknowledged.size,
        (size) => size >= before + 4000,
      )
      proxy.onProduce(null)
    })
    expect(cuts).toBeGreaterThan(5)
    const [received] = await store.query<{ readonly rows: string }>(
      `SELECT sum(events) AS rows FROM (SELECT kp, ko_from, ko_to, any(events) AS events FROM usage_journal GROUP BY kp, ko_from, ko_to)`,
    )
    const [counted] = await store.query<{ readonly rows: string }>(
      'SELECT count() AS rows FROM usage_events FINAL',
    )
    // The log has copies, the set has not.
    expect(Number(received?.rows)).toBeGreaterThan(Number(counted?.rows))
    expect(load.acknowledged.size).toBeGreaterThan(4000)
  })
})
