import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createConflictSweeper } from '../src/aggregate/conflicts.ts'
import { createRoller } from '../src/aggregate/roller.ts'
import { createUsageReader } from '../src/aggregate/usage-reader.ts'
import type { MeterKey, SubjectId, TenantId } from '../src/id/ids.ts'
import { openUsageStore } from '../src/store/usage-store.ts'
import { createAggregateMetrics } from '../src/telemetry/aggregate.ts'
import { createRegistry } from '../src/telemetry/registry.ts'
import { instantOf } from '../src/time/instant.ts'
import type { Meter } from '../src/usage/meter.ts'
import { TOPIC_EPOCH } from '../src/usage/topics.ts'
import type { UsageRequest } from '../src/usage/usage-query.ts'
import type { Figure } from './figure.ts'

/**
 * Usage queries over a month of events, of one subject and of all thousand, on clean rollups; beside them the
 * same statement on the events with FINAL. The events are made inside the engine: how they came there is not measured.
 */
const SIZES = (process.env['BENCH_QUERY_EVENTS'] ?? '1000000,10000000').split(',').map(Number)
const QUERIES = 60
const RAW_QUERIES = 5
const TENANT = 'ten_bench' as TenantId
const START_MS = Date.UTC(2026, 2, 1)
const MONTH_SECONDS = 30 * 86_400
const ROWS_PER_INSERT = 2_000_000

const METER: Meter = {
  ...{
    tenant: TENANT,
    key: 'tokens' as MeterKey,
    name: 'tokens',
    eventType: 'llm.request',
    aggregation: 'sum',
  },
  ...{ valueProperty: 'tokens', groupBy: {}, filters: {}, revision: 1 },
}

export async function run(): Promise<readonly Figure[]> {
  const figures: Figure[] = []
  for (const events of SIZES) figures.push(...(await measure(events)))
  return figures
}

async function measure(events: number): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-bench-'))
  const store = await openUsageStore({ kind: 'embedded', directory })
  try {
    for (let from = 0; from < events; from += ROWS_PER_INSERT) {
      const count = Math.min(ROWS_PER_INSERT, events - from)
      await store.command(
        `INSERT INTO usage_events (tenant, type, ts, subject, source, id, props, tp, kp, ko, ki, ver, ingested_at)
         SETTINGS async_insert = 0, optimize_on_insert = 0
         SELECT 'ten_bench', 'llm.request', fromUnixTimestamp64Milli(toInt64({start:Int64} + intDiv(number * {month:Int64} * 1000, {events:Int64})), 'UTC') AS ts,
           concat('customer-', toString(cityHash64(number) % 1000)), '/gateway', concat('e', toString(number)),
           map('tokens', toString(number % 500)), 1, 0, number, 0, 18446744073709551615 - number, ts
         FROM numbers({from:UInt64}, {count:UInt64})`,
        { start: START_MS, month: MONTH_SECONDS, events, from, count },
      )
    }
    // Marks as the worker would have left them, and a journal that covers all.
    for (const [span, start] of [
      [60, 'toStartOfMinute'],
      [3600, 'toStartOfHour'],
    ] as const) {
      await store.command(
        `INSERT INTO usage_marks (tenant, type, span, bucket, kp, ko) SETTINGS async_insert = 0
         SELECT tenant, type, ${span}, ${start}(ts) AS bucket, kp, max(ko) + 1 FROM usage_events GROUP BY tenant, type, bucket, kp`,
      )
    }
    const journal = [{ partition: 0, offset: events }]
    const conflicts = createConflictSweeper({
      store,
      metrics: createAggregateMetrics(createRegistry({ version: 'bench', role: 'api' })),
      epoch: TOPIC_EPOCH,
    })
    const quiet = (): void => undefined
    const roller = createRoller({
      ...{
        store,
        conflicts: { sweep: async () => 0 },
        meters: () => [METER],
        readJournal: async () => journal,
      },
      clock: { now: () => instantOf(Date.now()) },
      metrics: { minutesRecomputed: quiet, dirtyMinutes: quiet },
      logger: { debug: quiet, info: quiet, warn: console.warn, error: console.error },
    })
    const startedMs = performance.now()
    await roller.rollAll()
    const rolledSeconds = (performance.now() - startedMs) / 1000
    const reader = createUsageReader({
      ...{ store, conflicts, journal: { ends: () => journal, freshnessSeconds: () => 0 } },
    })
    const ask = (parts: Partial<UsageRequest>) =>
      reader.query({
        ...{ tenant: TENANT, meter: METER, window: 'day', timezone: 'UTC', subjects: null, bySubject: false },
        ...{ groupBy: [], filters: {} },
        interval: { start: instantOf(START_MS), end: instantOf(START_MS + MONTH_SECONDS * 1000) },
        ...parts,
      })
    const raw = async (subject: string | null): Promise<void> => {
      await store.query(
        `SELECT toStartOfDay(ts) AS w, toString(sum(toDecimal256OrNull(props['tokens'], 9))) AS v FROM usage_events FINAL
         WHERE tenant = 'ten_bench' AND type = 'llm.request' ${subject === null ? '' : 'AND subject = {subject:String}'} GROUP BY w`,
        subject === null ? {} : { subject },
      )
    }
    const name = `${events / 1e6}M events, `
    const one = await times(QUERIES, (i) => ask({ subjects: [`customer-${i}` as SubjectId] }))
    const all = await times(QUERIES, () => ask({}))
    const rawOne = await times(RAW_QUERIES, (i) => raw(`customer-${i}`))
    const rawAll = await times(RAW_QUERIES, () => raw(null))
    return [
      {
        metric: `${name}one subject, days of a month, p50`,
        value: at(one, 0.5),
        unit: 'ms',
        floor: at(rawOne, 0.5),
      },
      { metric: `${name}one subject, days of a month, p99`, value: at(one, 0.99), unit: 'ms' },
      {
        metric: `${name}all subjects, days of a month, p50`,
        value: at(all, 0.5),
        unit: 'ms',
        floor: at(rawAll, 0.5),
      },
      { metric: `${name}all subjects, days of a month, p99`, value: at(all, 0.99), unit: 'ms' },
      { metric: `${name}rolling up all of it`, value: (rolledSeconds * 1e6) / events, unit: 'us/event' },
    ]
  } finally {
    await store.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function times(count: number, task: (i: number) => Promise<unknown>): Promise<readonly number[]> {
  const taken: number[] = []
  await task(0)
  for (let i = 0; i < count; i++) {
    const startedMs = performance.now()
    await task(i)
    taken.push(performance.now() - startedMs)
  }
  return taken.toSorted((a, b) => a - b)
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(share * (sorted.length - 1))] ?? 0
}
