import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createConflictSweeper } from '../../src/aggregate/conflicts.ts'
import { endsOf } from '../../src/aggregate/journal.ts'
import { createReconciler } from '../../src/aggregate/reconcile.ts'
import { createRoller, type Roller } from '../../src/aggregate/roller.ts'
import { readJournal } from '../../src/aggregate/sink.ts'
import type { MeterKey } from '../../src/id/ids.ts'
import { instantOf } from '../../src/time/instant.ts'
import type { Meter } from '../../src/usage/meter.ts'
import { EVENT_PARTITIONS, TOPIC_EPOCH } from '../../src/usage/topics.ts'
import {
  aMeter,
  openStage,
  silentMetrics,
  type Stage,
  temporaryDirectory,
  TENANT,
  testLogger,
} from '../support/aggregating.ts'
import { aUsageEvent, NOON } from '../support/usage-packs.ts'

const directory = temporaryDirectory('rollups')
let meters: Meter[] = [aMeter(), aMeter({ key: 'last' as MeterKey, aggregation: 'latest' })]
let stage: Stage
let roller: Roller

beforeAll(async () => {
  stage = await openStage(directory.path)
  roller = aRoller()
  await stage.accept(
    ...Array.from({ length: 500 }, (_, i) =>
      aUsageEvent({
        ...{ id: `e${i}`, subject: `s${i % 5}`, time: instantOf(NOON + i * 20_000) },
        properties: { tokens: `${i % 17}.5`, model: i % 2 === 0 ? 'a' : 'b' },
      }),
    ),
  )
})
afterAll(async () => {
  await roller.stop()
  await stage.close()
  directory.remove()
})

function conflicts() {
  return createConflictSweeper({ store: stage.store, metrics: silentMetrics, epoch: TOPIC_EPOCH })
}

function aRoller(): Roller {
  return createRoller({
    ...{ store: stage.store, conflicts: conflicts(), meters: () => meters },
    readJournal: async () => endsOf(await readJournal(stage.store, TOPIC_EPOCH, EVENT_PARTITIONS)),
    ...{ clock: { now: () => instantOf(Date.now()) }, metrics: silentMetrics, logger: testLogger },
  })
}

/** Rows that readers can take, in one order, as text. */
async function rollups(): Promise<string> {
  const rows = await stage.store.query(
    `SELECT r.* FROM usage_rollups AS r FINAL
     INNER JOIN (SELECT * FROM usage_rolled FINAL) AS l USING (tenant, meter, revision, span, bucket, sig)
     ORDER BY r.meter, r.revision, r.span, r.bucket, r.subject, r.dims`,
  )
  return rows.map((row) => JSON.stringify(row)).join('\n')
}

const sum = async (meter: Meter) => {
  const live = await stage.usageAtCut(meter)
  const { rows } = await stage.usage(meter)
  expect(rows.map(({ value, events }) => [value, events])).toEqual(
    live.map(({ value, events }) => [value, events]),
  )
  return rows[0]?.value
}

describe('rollups', () => {
  it('are read where they are clean: a wrong one would show', async () => {
    const meter = aMeter()
    const before = await sum(meter)
    await roller.rollAll()
    expect(await sum(meter)).toBe(before)
    const tamper = (by: number) =>
      stage.store.command(
        `ALTER TABLE usage_rollups UPDATE a = a + ${by} WHERE meter = 'tokens' AND span = 3600 AND subject = 's1' SETTINGS mutations_sync = 2`,
      )
    await tamper(1000)
    const { rows } = await stage.usage(meter)
    expect(Number(rows[0]?.value)).toBeGreaterThan(Number(before) + 999)
    await tamper(-1000)
    expect(await sum(meter)).toBe(before)
  })

  it('are the same bit for bit when they are thrown away and computed again, by however many', async () => {
    const before = await rollups()
    expect(before.split('\n').length).toBeGreaterThan(100)
    const told: number[] = []
    await roller.rebuild(TENANT, ({ minutesDone, minutes }) => told.push(minutesDone / minutes))
    expect(told.at(-1)).toBe(1)
    expect(await rollups()).toBe(before)
    await Promise.all([aRoller().rollAll(), aRoller().rollAll()])
    expect(await rollups()).toBe(before)
  })

  it('do not count what a void takes back, from the moment that it counts', async () => {
    const meter = aMeter()
    const before = Number(await sum(meter))
    await stage.accept(
      aUsageEvent({
        ...{ type: '__void', source: 'tallyman/void', id: 'v16', subject: '' },
        properties: { 'target.source': '/gateway', 'target.id': 'e16' },
      }),
    )
    expect(Number(await sum(meter))).toBe(before - 16.5)
    await roller.rollAll()
    expect(Number(await sum(meter))).toBe(before - 16.5)
  })

  it('do not count a conflicting copy once it is found, wherever it lies', async () => {
    const meter = aMeter()
    const before = await sum(meter)
    await stage.accept(
      aUsageEvent({
        id: 'e1',
        time: instantOf(NOON + 7_000_000),
        properties: { tokens: '1000', model: 'a' },
      }),
    )
    await roller.rollAll() // it searches, and computes the minute of the losing copy
    expect(await sum(meter)).toBe(before)
  })

  it('of a new revision are built beside the old ones', async () => {
    const revised = aMeter({ revision: 2, filters: { model: ['a'] } })
    const expected = await sum(revised)
    meters = [revised, aMeter({ key: 'last' as MeterKey, aggregation: 'latest' })]
    await roller.rollAll()
    expect(await sum(revised)).toBe(expected)
    expect(await sum(aMeter())).not.toBe(expected)
  })

  it('that differ from the events are found by the reconciliation, and mended when it is told to', async () => {
    const { log, store, aggregator } = stage
    const drift = new Map<string, number>()
    const reconciler = createReconciler({
      ...{ log, store, journal: aggregator, rollups: roller, conflicts: conflicts() },
      metrics: { drift: (name, records) => drift.set(name, records) },
    })
    expect(await reconciler.run(TENANT, { fixRollups: false })).toMatchObject({ ok: true })
    await store.command(
      "ALTER TABLE usage_rollups UPDATE events = events + 1 WHERE span = 60 AND subject = 's2' SETTINGS mutations_sync = 2",
    )
    const found = await reconciler.run(TENANT, { fixRollups: false })
    expect(found.checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['rollups equal events'])
    expect(drift.get('rollup')).toBeGreaterThan(10)
    const fixed = await reconciler.run(TENANT, { fixRollups: true })
    expect(fixed.ok).toBe(true)
    expect(fixed.checks.at(-1)?.detail).toMatch(/computed again/)
    expect(drift.get('rollup')).toBe(0)
    expect(await reconciler.run(TENANT, { fixRollups: false })).toMatchObject({ ok: true })
  })
})
