import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createConflictSweeper } from '../../src/aggregate/conflicts.ts'
import { endsOf } from '../../src/aggregate/journal.ts'
import { createRoller, type Roller } from '../../src/aggregate/roller.ts'
import { readJournal } from '../../src/aggregate/sink.ts'
import type { CustomerKey, MeterKey, SubjectId, TenantId } from '../../src/id/ids.ts'
import { instantOf } from '../../src/time/instant.ts'
import type { UsageEvent } from '../../src/usage/event.ts'
import { AGGREGATIONS, type Meter } from '../../src/usage/meter.ts'
import { EVENT_PARTITIONS, TOPIC_EPOCH } from '../../src/usage/topics.ts'
import { USAGE_WINDOWS, type UsageRequest, type UsageRow } from '../../src/usage/usage-query.ts'
import { type OracleRow, oracleUsage, readLog } from '../aggregate/oracle.ts'
import {
  openStage,
  silentMetrics,
  type Stage,
  temporaryDirectory,
  testLogger,
} from '../support/aggregating.ts'
import { aUsageEvent } from '../support/usage-packs.ts'

/** Sets of events, each its own tenant; some seconds each. `SEED` names the run that is to be repeated. */
const SETS = Number(process.env['SETS'] ?? 4)
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const BATCHES = 3
const EVENTS = 60
const QUESTIONS = 14

const directory = temporaryDirectory('differential')
const meters: Meter[] = []
let stage: Stage
let roller: Roller

beforeAll(async () => {
  stage = await openStage(directory.path)
  const { store } = stage
  roller = createRoller({
    store,
    readJournal: async () => endsOf(await readJournal(store, TOPIC_EPOCH, EVENT_PARTITIONS)),
    conflicts: createConflictSweeper({ store, metrics: silentMetrics, epoch: TOPIC_EPOCH }),
    meters: () => meters,
    clock: { now: () => instantOf(Date.now()) },
    ...{ metrics: silentMetrics, logger: testLogger },
  })
})
afterAll(async () => {
  await roller.stop()
  await stage.close()
  directory.remove()
})

/** Around the night in which Berlin loses an hour. */
const FROM = Date.UTC(2026, 2, 28, 18)
const HOURS = 36
const subjects = ['a', 'b', 'c', "d'\\"] as const
const moment = fc.oneof(
  // Crowded: minutes and hours with many events, and their borders.
  fc
    .tuple(
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: 3 }),
      fc.constantFrom(0, 1, 30_000, 59_999),
    )
    .map(([hour, minute, ms]) => FROM + hour * 3_600_000 + minute * 60_000 + ms),
  fc.integer({ min: FROM, max: FROM + HOURS * 3_600_000 }),
)
const anEvent = (tenant: TenantId) =>
  fc
    .record({
      id: fc.integer({ min: 0, max: 50 }),
      time: moment,
      subject: fc.constantFrom(...subjects),
      type: fc.constantFrom('use', 'use', 'use', 'use', 'other'),
      model: fc.constantFrom('x', 'y', ''),
      region: fc.constantFrom('eu', 'us'),
      value: fc.oneof(
        fc.integer({ min: -50, max: 200 }).map(String),
        fc.constantFrom(
          '0.000000001',
          '12.5',
          '-3.125',
          '99999999999999999999999999999.999999999',
          'NaN',
          '',
          '1e3',
        ),
      ),
    })
    .map(({ id, time, subject, type, model, region, value }) =>
      aUsageEvent({
        ...{ tenant, id: `e${id}`, time: instantOf(time), subject, type },
        properties: { value, region, ...(model === '' ? {} : { model }) },
      }),
    )
const aVoid = (tenant: TenantId) =>
  fc.integer({ min: 0, max: 60 }).map((id) =>
    aUsageEvent({
      ...{ tenant, type: '__void', source: 'tallyman/void', id: `v${id}`, subject: '' },
      properties: { 'target.source': '/gateway', 'target.id': `e${id}` },
    }),
  )
const aBatch = (tenant: TenantId): fc.Arbitrary<readonly UsageEvent[]> =>
  fc.array(fc.oneof({ weight: 12, arbitrary: anEvent(tenant) }, { weight: 1, arbitrary: aVoid(tenant) }), {
    ...{ minLength: EVENTS, maxLength: EVENTS },
  })

function metersOf(tenant: TenantId): readonly Meter[] {
  return AGGREGATIONS.flatMap((aggregation) => {
    const whole: Meter = {
      ...{ tenant, key: aggregation as string as MeterKey, name: aggregation, eventType: 'use', aggregation },
      ...{ groupBy: { region: 'region', model: 'model' }, filters: {}, revision: 1 },
      ...(aggregation === 'count' ? {} : { valueProperty: 'value' }),
      ...(aggregation === 'percentile' ? { percentile: '0.95' } : {}),
    }
    const filtered = { ...whole, key: `${aggregation}-x` as MeterKey, filters: { model: ['x'] } }
    return aggregation === 'sum' || aggregation === 'latest' ? [whole, filtered] : [whole]
  })
}

const border = fc.oneof(
  moment.map((at) => Math.floor(at / 60_000) * 60_000),
  moment,
)
const owners = fc.record({ split: border, other: border }).map(({ split, other }) => [
  { subject: 'a' as SubjectId, customer: 'one' as CustomerKey, from: null, until: instantOf(split) },
  { subject: 'a' as SubjectId, customer: 'two' as CustomerKey, from: instantOf(split), until: null },
  { subject: 'b' as SubjectId, customer: 'two' as CustomerKey, from: null, until: null },
  { subject: 'c' as SubjectId, customer: 'one' as CustomerKey, from: instantOf(other), until: null },
])
const aQuestion = (candidates: readonly Meter[]): fc.Arbitrary<UsageRequest> =>
  fc
    .record({
      meter: fc.constantFrom(...candidates),
      from: fc.oneof(fc.constant(FROM - 3_600_000), border),
      to: fc.oneof(fc.constant(FROM + 50 * 3_600_000), border),
      window: fc.constantFrom(...USAGE_WINDOWS),
      timezone: fc.constantFrom('UTC', 'Europe/Berlin', 'Asia/Kolkata', 'Australia/Lord_Howe'),
      subjects: fc.constantFrom(null, null, ['a'], ['b', "d'\\"], ['nobody']),
      owners: fc.option(owners, { nil: undefined }),
      byCustomer: fc.boolean(),
      bySubject: fc.boolean(),
      groupBy: fc.constantFrom([], [], ['model'], ['region', 'model']),
      filters: fc.constantFrom({}, {}, { region: ['eu'] }, { model: ['', 'y'] }),
    })
    .map(({ from, to, meter, byCustomer, owners: spans, subjects: some, ...rest }) => ({
      ...{ ...rest, meter, tenant: meter.tenant, subjects: some as readonly SubjectId[] | null },
      interval: { start: instantOf(Math.min(from, to)), end: instantOf(Math.max(from, to) + 1) },
      ...(spans === undefined ? {} : { owners: spans, byCustomer }),
    }))

const shown = (rows: readonly UsageRow[]): readonly OracleRow[] =>
  rows.map(({ interval, customer, subject, group, value, events, unusable }) => ({
    ...{ start: interval.start, end: interval.end, group, value, events, unusable },
    ...(customer === undefined ? {} : { customer }),
    ...(subject === undefined ? {} : { subject }),
  }))
const inOrder = (rows: readonly OracleRow[]) =>
  rows.toSorted((a, b) =>
    JSON.stringify([a.start, a.customer, a.subject, a.group]) <
    JSON.stringify([b.start, b.customer, b.subject, b.group])
      ? -1
      : 1,
  )

async function compare(questions: readonly UsageRequest[], phase: string): Promise<void> {
  const all = await readLog(stage.log)
  for (const question of questions) {
    const { rows } = await stage.reader.query(question)
    const expected = inOrder(oracleUsage(all, question))
    const told = `seed ${SEED}, ${phase}: ${JSON.stringify({ ...question, meter: question.meter.key })}`
    expect(inOrder(shown(rows)), told).toEqual(expected)
  }
}

describe(`queries against an oracle, seed ${SEED}`, () => {
  it.each(Array.from({ length: SETS }, (_, i) => i))(
    'I4, I5, I6: set %i is counted the same from the events, from rollups and from both',
    async (set) => {
      const tenant = `ten_${set}` as TenantId
      const own = metersOf(tenant)
      meters.push(...own)
      const seed = SEED * 1000 + set
      const batches = fc.sample(aBatch(tenant), { seed, numRuns: BATCHES })
      const questions = fc.sample(aQuestion(own), { seed, numRuns: QUESTIONS })
      for (const [i, batch] of batches.entries()) {
        await stage.accept(...batch)
        await stage.accept(...batch.slice(0, 10)) // the client repeats some
        // Asking at a cut has every conflict known.
        await stage.reader.usageAtCut({
          ...{ tenant, meter: own[0] as Meter, subjects: null, groupBy: [], cut: stage.aggregator.journal() },
          interval: { start: instantOf(0), end: instantOf(1) },
        })
        await compare(questions, `batch ${i}, ${i === 0 ? 'no rollups' : 'stale rollups'}`)
        await roller.rollAll()
        await compare(questions, `batch ${i}, fresh rollups`)
      }
      expect(await roller.audit(tenant, false)).toMatchObject({ meters: 8, different: 0 })
    },
  )
})
