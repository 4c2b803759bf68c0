import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createConflictSweeper } from '../../src/aggregate/conflicts.ts'
import { createReconciler, type Reconciler } from '../../src/aggregate/reconcile.ts'
import { instantOf } from '../../src/time/instant.ts'
import { TOPIC_EPOCH } from '../../src/usage/topics.ts'
import { openStage, silentMetrics, type Stage, temporaryDirectory, TENANT } from '../support/aggregating.ts'
import { aUsageEvent, NOON } from '../support/usage-packs.ts'

const directory = temporaryDirectory('reconcile')
const drift = new Map<string, number>()
let stage: Stage
let reconciler: Reconciler

beforeAll(async () => {
  stage = await openStage(directory.path)
  const { log, store, aggregator } = stage
  reconciler = createReconciler({
    ...{ log, store, journal: aggregator, rollups: null },
    conflicts: createConflictSweeper({ store, metrics: silentMetrics, epoch: TOPIC_EPOCH }),
    metrics: { drift: (name, records) => drift.set(name, records) },
  })
  const first = Array.from({ length: 400 }, (_, i) =>
    aUsageEvent({
      ...{ id: `e${i}`, subject: `s${i % 7}`, time: instantOf(NOON + (i % 90) * 60_000) },
      properties: { tokens: `${i}.5`, model: i % 2 === 0 ? 'ü\\n' : "o'b", 'a.b': '' },
    }),
  )
  await stage.accept(...first)
  await stage.accept(...first.slice(0, 100), ...first.slice(50, 60)) // repeated, also within one pack
  await stage.accept(
    ...first.slice(0, 20).map((event) => ({ ...event, time: instantOf(event.time + 7_200_000) })), // conflicts
    ...first.slice(20, 30).map((event) => ({ ...event, time: instantOf(event.time - 32 * 86_400_000) })), // late ones
    ...first.slice(30, 35).map((event) => ({ ...event, time: instantOf(event.time + 40 * 86_400_000) })), // other events
    aUsageEvent({ tenant: 'ten_2', id: 'e1' }),
    aUsageEvent({
      ...{ type: '__void', source: 'tallyman/void', id: 'v1', subject: '' },
      properties: { 'target.source': '/gateway', 'target.id': 'e7' },
    }),
  )
})
afterAll(async () => {
  await stage.close()
  directory.remove()
})

const failed = (checks: readonly { readonly ok: boolean; readonly name: string }[]) =>
  checks.filter(({ ok }) => !ok).map(({ name }) => name)

describe('reconciliation', () => {
  it('holds on repeated, voided, late and conflicting events', async () => {
    const { ok, checks } = await reconciler.run(TENANT, { fixRollups: false })
    expect(checks.filter((check) => !check.ok)).toEqual([])
    expect(ok).toBe(true)
    expect(checks.map(({ name }) => name)).toEqual([
      'journal has no holes',
      'journal reaches the log',
      ...Array.from({ length: 8 }, (_, p) => [
        `journal equals log, partition ${p}`,
        `events equal log, partition ${p}`,
      ]).flat(),
      'conflicts are known',
    ])
    const told = checks.map(({ detail }) =>
      /(\d+) received = (\d+) canonical \+ (\d+) duplicates \+ (\d+) conflicts/.exec(detail),
    )
    const sums = [1, 2, 3, 4].map((i) => told.reduce((sum, match) => sum + Number(match?.[i] ?? 0), 0))
    expect(sums).toEqual([546, 406, 110, 30])
    expect(drift.get('raw')).toBe(0)
  })

  it('refuses to close while the journal is behind the cut', async () => {
    const cut = stage.aggregator.journal()
    expect(failed(await reconciler.conservation(TENANT, cut))).toEqual([])
    const beyond = cut.map(({ partition, offset }) => ({
      partition,
      offset: offset + (partition === 3 ? 2 : 0),
    }))
    expect(failed(await reconciler.conservation(TENANT, beyond))).toEqual(['journal reaches the log'])
  })

  it('finds a row that was lost and one that was changed', async () => {
    const { store } = stage
    const [row] = await store.query<{ kp: number; offset: string }>(
      "SELECT kp, ko AS offset FROM usage_events FINAL WHERE id = 'e99'",
    )
    const mutate = 'SETTINGS mutations_sync = 2'
    await store.command(`ALTER TABLE usage_events DELETE WHERE id = 'e99' ${mutate}`)
    const lost = await reconciler.run(TENANT, { fixRollups: false })
    expect(failed(lost.checks)).toEqual([`events equal log, partition ${row?.kp ?? ''}`])
    expect(drift.get('raw')).toBe(1)
    // What the last run found keeps invoices from closing.
    expect(failed(await reconciler.conservation(TENANT, stage.aggregator.journal()))).toEqual(
      failed(lost.checks),
    )
    await store.command(
      `ALTER TABLE usage_events UPDATE props = map('tokens', '0') WHERE id = 'e98' ${mutate}`,
    )
    const changed = await reconciler.run(TENANT, { fixRollups: false })
    expect(failed(changed.checks).length).toBeGreaterThanOrEqual(1)
    expect(drift.get('raw')).toBe(2)
  })

  it('finds a journal that claims what the log does not have', async () => {
    await stage.store.command(
      `INSERT INTO usage_journal (tp, kp, ko_from, ko_to, events, bytes, checksum, ingested_max, written_at)
       SETTINGS async_insert = 0 VALUES (1, 2, 900, 950, 1, 1, 1, 0, 0)`,
    )
    const { ok, checks } = await reconciler.run(TENANT, { fixRollups: false })
    expect(ok).toBe(false)
    expect(checks[0]).toMatchObject({ name: 'journal has no holes', ok: false, actual: '1' })
    expect(drift.get('density')).toBe(1)
  })
})
