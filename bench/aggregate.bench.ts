import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@clickhouse/client'
import { createAggregator } from '../src/aggregate/aggregator.ts'
import { createMemoryLog } from '../src/log/memory-log.ts'
import { openUsageStore } from '../src/store/usage-store.ts'
import { instantOf } from '../src/time/instant.ts'
import { PackEncoder } from '../src/usage/pack-encoder.ts'
import { EVENT_PARTITIONS, TOPIC_EVENTS, TOPIC_OBSERVED } from '../src/usage/topics.ts'
import type { Figure } from './figure.ts'

/**
 * From packs on the log to durable rows, marks and journal. The floor gets the same events as JSON: JSON.parse and an
 * insert as JSONEachRow into the same table, 50,000 rows at a time, as such sinks are usually written.
 */
const EVENTS = Number(process.env['BENCH_EVENTS'] ?? 1_500_000)
const EVENTS_PER_PACK = 500
const FLOOR_EVENTS = Math.min(EVENTS, 500_000)
const FLOOR_ROWS_PER_INSERT = 50_000
const START_MS = Date.UTC(2026, 2, 1)

interface Measured {
  readonly rows: number
  readonly seconds: number
  readonly cpuMicros: number
  readonly rssBytes: number
}

export async function run(): Promise<readonly Figure[]> {
  const floor = await inProcess('measure-floor')
  const ours = await inProcess('measure-rows')
  return [
    {
      metric: 'rows made durable',
      value: ours.rows / ours.seconds,
      unit: 'rows/s',
      floor: floor.rows / floor.seconds,
    },
    {
      metric: 'CPU of the process per row',
      value: ours.cpuMicros / ours.rows,
      unit: 'us',
      floor: floor.cpuMicros / floor.rows,
    },
    { metric: 'memory of the process', value: ours.rssBytes / 1e6, unit: 'MB', floor: floor.rssBytes / 1e6 },
  ]
}

async function inProcess(what: 'measure-floor' | 'measure-rows'): Promise<Measured> {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-bench-'))
  const child = fork(import.meta.filename, [what, directory])
  try {
    const [measured] = (await once(child, 'message')) as [Measured]
    if (child.exitCode === null) await once(child, 'exit')
    return measured
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function measure(rows: number, work: () => Promise<void>): Promise<void> {
  const cpu = process.cpuUsage()
  const startedMs = performance.now()
  await work()
  const { user, system } = process.cpuUsage(cpu)
  process.send?.({
    rows,
    seconds: (performance.now() - startedMs) / 1000,
    cpuMicros: user + system,
    rssBytes: process.resourceUsage().maxRSS * 1024,
  } satisfies Measured)
}

function eventOf(n: number) {
  return {
    ...{ tenant: 'ten_bench', source: '/gateway/eu-1', id: `evt-${n}`, type: 'llm.request' },
    ...{ subject: `customer-${n % 1000}`, ms: START_MS + Math.floor(n / 5), model: 'gpt-4o' },
    ...{
      input: String(300 + (n % 1000)),
      output: String(20 + (n % 50)),
      partition: Math.floor(n / 500) % EVENT_PARTITIONS,
    },
  }
}

async function measureAggregate(directory: string): Promise<void> {
  const log = createMemoryLog()
  await log.ensureTopic({ name: TOPIC_EVENTS, partitions: EVENT_PARTITIONS, retentionMs: null })
  await log.ensureTopic({ name: TOPIC_OBSERVED, partitions: 1, retentionMs: null })
  for (let n = 0; n < EVENTS; n += EVENTS_PER_PACK) {
    const pack = new PackEncoder(EVENTS_PER_PACK * 150)
    for (let i = n; i < n + EVENTS_PER_PACK; i++) {
      const event = eventOf(i)
      pack.beginEvent(event.tenant, event.source, event.id)
      pack.describeEvent(event.type, event.subject, instantOf(event.ms))
      pack.property('model', event.model)
      pack.property('input_tokens', event.input)
      pack.property('output_tokens', event.output)
      pack.endEvent()
    }
    await log.append(TOPIC_EVENTS, [
      { partition: eventOf(n).partition, value: pack.seal(instantOf(START_MS)).record },
    ])
  }
  const store = await openUsageStore({ kind: 'embedded', directory })
  const nothing = (): void => undefined
  const aggregator = createAggregator({
    ...{ log, store, clock: { now: () => instantOf(Date.now()) } },
    metrics: {
      ...{
        flushed: nothing,
        insertFailed: nothing,
        freshness: nothing,
        watermark: nothing,
        buffered: nothing,
      },
      ...{
        minutesRecomputed: nothing,
        dirtyMinutes: nothing,
        conflictsFound: nothing,
        partitionHalted: nothing,
      },
      ...{ queried: nothing, drift: nothing },
    },
    logger: { debug: nothing, info: nothing, warn: console.warn, error: console.error },
    config: { flushIntervalMs: 1000, flushRowsMax: 150_000 },
  })
  const ends = await log.endOffsets(TOPIC_EVENTS)
  await measure(EVENTS, async () => {
    await aggregator.start()
    if (!(await aggregator.waitForJournal(ends, 600_000))) throw new Error('the journal stands still')
  })
  const [row] = await store.query<{ rows: string }>('SELECT count() AS rows FROM usage_events FINAL')
  if (Number(row?.rows) !== EVENTS) throw new Error(`${row?.rows ?? 0} rows of ${EVENTS} events`)
  await aggregator.stop()
  await store.close()
}

async function measureFloor(directory: string): Promise<void> {
  const prepared = await openUsageStore({ kind: 'embedded', directory })
  await prepared.close()
  const bodies = Array.from({ length: FLOOR_EVENTS / 100 }, (_, body) =>
    JSON.stringify(Array.from({ length: 100 }, (_, i) => eventOf(body * 100 + i))),
  )
  const { createChdbConnection } = await import('chdb/connection')
  const connection = createChdbConnection({ path: directory })
  const client = createClient({ connection: connection as never })
  await measure(FLOOR_EVENTS, async () => {
    let values: object[] = []
    for (const [record, body] of bodies.entries()) {
      for (const [index, event] of (JSON.parse(body) as ReturnType<typeof eventOf>[]).entries()) {
        const { tenant, source, id, type, subject, ms, model, input, output, partition } = event
        values.push({
          ...{ tenant, source, id, type, subject, ts: new Date(ms).toISOString().slice(0, -1) },
          props: { model, input_tokens: input, output_tokens: output },
          ...{ tp: 1, kp: partition, ko: record, ki: index, ver: 1, ingested_at: '2026-03-01 00:00:00.000' },
        })
      }
      if (values.length < FLOOR_ROWS_PER_INSERT) continue
      await client.insert({ table: 'usage_events', values, format: 'JSONEachRow' })
      values = []
    }
  })
  await client.close()
}

if (process.argv[2] === 'measure-rows') await measureAggregate(process.argv[3] ?? '')
if (process.argv[2] === 'measure-floor') await measureFloor(process.argv[3] ?? '')
