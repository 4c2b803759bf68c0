import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createMeterRegistry } from '../../src/database/meters.ts'
import { createCustomerTime } from '../../src/database/test-clocks.ts'
import type { Database } from '../../src/database/database.ts'
import type { MeterKey, TestClockId } from '../../src/id/ids.ts'
import type { DirectoryChange } from '../../src/usage/directory-change.ts'
import { parseMeter } from '../../src/usage/meter-parse.ts'
import { type Instant, formatInstant } from '../../src/time/instant.ts'
import {
  at,
  type Control,
  createControl,
  customerDefinition,
  customerKey,
  feeOf,
  planDraft,
  planKey,
} from '../support/control.ts'
import { openTestDatabase } from '../support/database.ts'

let database: Database
let control: Control
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(async () => database.stop())
beforeEach(async () => {
  control = await createControl(database)
  await database.db.deleteFrom('outbox').execute()
})

const published = async (): Promise<readonly DirectoryChange[]> => {
  const rows = await database.db.selectFrom('outbox').select('message').orderBy('id').execute()
  return rows.map(({ message }) => message as DirectoryChange)
}

describe('meters', () => {
  const definition = (members: Readonly<Record<string, unknown>> = {}) => {
    const parsed = parseMeter({ name: 'Requests', eventType: 'request', aggregation: 'count', ...members })
    if (parsed.kind === 'faulty') throw new Error(JSON.stringify(parsed))
    return parsed.definition
  }
  const key = 'requests' as MeterKey
  const put = (members: Readonly<Record<string, unknown>> = {}) =>
    createMeterRegistry(database.db).put(control.tenant, key, definition(members), at('2024-01-01'))

  it('M1: what is counted is versioned, the name is not, and the same again does nothing', async () => {
    const meters = createMeterRegistry(database.db)
    expect((await put()).kind).toBe('created')
    expect((await put()).kind).toBe('unchanged')
    expect(await put({ name: 'All requests' })).toMatchObject({ kind: 'renamed', meter: { revision: 1 } })
    expect(await put({ name: 'All requests', groupBy: { model: '$.model' } })).toMatchObject({
      kind: 'revised',
      meter: { revision: 2 },
    })
    expect(await meters.revision(control.tenant, key, 1)).toMatchObject({
      name: 'All requests',
      groupBy: {},
      revision: 1,
    })
    expect(await meters.revision(control.tenant, key, 3)).toBeNull()
    expect((await meters.get(control.tenant, key))?.meter.revision).toBe(2)
    const versions = (await published()).map((change) => change.version)
    expect(versions).toHaveLength(3)
    expect(versions).toEqual([...versions].sort((a, b) => a - b))
  })

  it('M1: two writers at the same moment make revisions one after the other', async () => {
    await put()
    await Promise.all(Array.from({ length: 6 }, (_, i) => put({ groupBy: { [`d${String(i)}`]: '$.d' } })))
    expect((await createMeterRegistry(database.db).get(control.tenant, key))?.meter.revision).toBe(7)
  })

  it('are listed by key, page by page, each tenant its own', async () => {
    const meters = createMeterRegistry(database.db)
    for (const one of ['c', 'a', 'b'])
      await meters.put(control.tenant, one as MeterKey, definition(), at('2024-01-01'))
    const first = await meters.list(control.tenant, { limit: 2, after: null })
    const second = await meters.list(control.tenant, { limit: 2, after: first.next })
    expect([first, second].map((page) => [page.data.map(({ meter }) => meter.key), page.next])).toEqual([
      [['a', 'b'], 'b'],
      [['c'], null],
    ])
    const other = await createControl(database)
    expect((await meters.list(other.tenant, { limit: 2, after: null })).data).toEqual([])
  })
})

describe('customers', () => {
  const put = (key: string, members: Readonly<Record<string, unknown>>, now: string) =>
    control.customers.put(control.tenant, customerKey(key), customerDefinition(key, members), at(now))
  const spans = async (key: string) =>
    (await control.customers.attributions(control.tenant, customerKey(key))).map(
      ({ subject, from, until }) => {
        const day = (instant: Instant | null) =>
          instant === null ? '…' : formatInstant(instant).slice(0, 10)
        return `${subject} ${day(from)} ${day(until)}`
      },
    )

  it('are created, replaced and left alone, and say so to the event path once each', async () => {
    expect((await put('acme', {}, '2024-01-01')).kind).toBe('created')
    expect((await put('acme', {}, '2024-01-02')).kind).toBe('unchanged')
    const billing = { email: 'a@acme.test', address: { city: 'Köln', country: 'DE' } }
    expect((await put('acme', { billing }, '2024-01-03')).kind).toBe('replaced')
    const turned = { address: { country: 'DE', city: 'Köln' }, email: 'a@acme.test' }
    expect((await put('acme', { billing: turned }, '2024-01-04')).kind).toBe('unchanged')
    expect(await control.customers.get(control.tenant, customerKey('acme'))).toMatchObject({
      subjects: ['acme'],
      billing,
      createdAt: at('2024-01-01'),
      updatedAt: at('2024-01-03'),
    })
    expect(await published()).toHaveLength(2)
  })

  it('C1: a subject that moves leaves its past usage behind, and no time is between two', async () => {
    await put('one', { subjects: ['s', 't'] }, '2024-01-01')
    await put('one', { subjects: ['t'] }, '2024-02-01')
    await put('two', { subjects: ['s'] }, '2024-03-01')
    await put('two', { subjects: [] }, '2024-04-01')
    await put('one', { subjects: ['s', 't'] }, '2024-05-01')
    expect(await spans('one')).toEqual(['s … 2024-02-01', 's 2024-04-01 …', 't … …'])
    expect(await spans('two')).toEqual(['s 2024-02-01 2024-04-01'])
  })

  it('C2: a subject has one customer at a time, also at the same moment', async () => {
    await put('one', { subjects: ['s'] }, '2024-01-01')
    expect(await put('two', { subjects: ['t', 's'] }, '2024-01-01')).toEqual({
      kind: 'subjectTaken',
      subject: 's',
      by: 'one',
    })
    expect(await control.customers.get(control.tenant, customerKey('two'))).toBeNull()
    const claims = await Promise.all(
      Array.from({ length: 8 }, (_, i) => put(`c${String(i)}`, { subjects: ['contested'] }, '2024-01-01')),
    )
    expect(claims.filter((claim) => claim.kind === 'created')).toHaveLength(1)
    expect(claims.filter((claim) => claim.kind === 'subjectTaken')).toHaveLength(7)
    const other = await createControl(database)
    expect((await other.putCustomer('one', { subjects: ['s'] })).kind).toBe('created')
  })

  it('C3: currency and clock are fixed once there is a subscription; before, and all else, may change', async () => {
    await control.clock('clk_1', '2024-01-01')
    await control.putPlan('basic')
    await put('acme', { currency: 'EUR' }, '2024-01-01')
    expect((await put('acme', {}, '2024-01-01')).kind).toBe('replaced')
    await control.subscribe({}, '2024-01-02')
    expect(await put('acme', { currency: 'EUR' }, '2024-01-03')).toEqual({
      kind: 'fixed',
      member: 'currency',
    })
    expect(await put('acme', { testClock: 'clk_1' }, '2024-01-03')).toEqual({
      kind: 'fixed',
      member: 'testClock',
    })
    expect((await put('acme', { timezone: 'Asia/Tokyo', name: 'Acme Ltd.' }, '2024-01-03')).kind).toBe(
      'replaced',
    )
  })

  it('C3: a first subscription and a change of currency at the same moment do not both win', async () => {
    await control.putPlan('basic')
    for (let i = 0; i < 6; i++) {
      const key = `race${String(i)}`
      await put(key, {}, '2024-01-01')
      const [changed, subscribed] = await Promise.all([
        put(key, { currency: 'EUR' }, '2024-01-02'),
        control.subscribe({ customer: customerKey(key) }, '2024-01-02'),
      ])
      expect([changed.kind, subscribed.kind]).toEqual(
        changed.kind === 'fixed' ? ['fixed', 'created'] : ['replaced', 'currencyDiffers'],
      )
    }
  })

  it('an unknown test clock is refused', async () => {
    expect(await put('acme', { testClock: 'clk_0' }, '2024-01-01')).toEqual({
      kind: 'unknownTestClock',
      testClock: 'clk_0',
    })
  })

  it('subjects move by the clock of the customer', async () => {
    await control.clock('clk_1', '2020-06-01')
    await put('past', { testClock: 'clk_1', subjects: ['s'] }, '2024-01-01')
    await put('past', { testClock: 'clk_1', subjects: [] }, '2024-01-01')
    expect(await spans('past')).toEqual(['s … 2020-06-01'])
  })
})

describe('plans', () => {
  const current = () => control.plans.current(control.tenant, planKey('basic'))

  it('P1: a changed plan is a new version, the same plan is none, and old ones stay', async () => {
    expect(await control.putPlan('basic')).toMatchObject({ kind: 'created', plan: { version: 1 } })
    expect(await control.putPlan('basic')).toMatchObject({ kind: 'unchanged', plan: { version: 1 } })
    expect(await control.putPlan('basic', feeOf('20.00'))).toMatchObject({
      kind: 'versioned',
      plan: { version: 2 },
    })
    expect(
      (await control.plans.versions(control.tenant, planKey('basic'))).map((plan) => plan.version),
    ).toEqual([1, 2])
    expect((await control.plans.version(control.tenant, planKey('basic'), 1))?.document).toEqual(
      planDraft().definition.document,
    )
    const rows = await database.db
      .selectFrom('plan_versions')
      .select('document')
      .where('tenant', '=', control.tenant)
      .execute()
    expect(rows).toHaveLength(2)
  })

  it('P1: writers at the same moment make one version each', async () => {
    await control.putPlan('basic')
    await Promise.all(
      Array.from({ length: 6 }, (_, i) => control.putPlan('basic', feeOf(`${String(i + 20)}.00`))),
    )
    expect((await current())?.version).toBe(7)
    await Promise.all(Array.from({ length: 6 }, () => control.putPlan('basic', feeOf('99.00'))))
    expect((await current())?.version).toBe(8)
  })

  it('names of meters and dimensions must exist', async () => {
    const prices = [
      {
        key: 'a',
        name: 'A',
        meter: 'nothing',
        payment: 'inArrears',
        price: { model: 'unit', unitAmount: '1' },
      },
    ]
    expect(await control.putPlan('basic', planDraft({ prices }))).toMatchObject({
      kind: 'faulty',
      faults: [{ pointer: '/prices/0/meter' }],
    })
    expect(await current()).toBeNull()
  })

  it('P2: currency and interval are fixed once somebody has subscribed', async () => {
    await control.putPlan('basic', planDraft({ currency: 'EUR' }))
    expect((await control.putPlan('basic')).kind).toBe('versioned')
    await control.putCustomer('acme')
    await control.subscribe({}, '2024-01-02')
    expect(await control.putPlan('basic', planDraft({ currency: 'EUR' }))).toEqual({
      kind: 'fixed',
      member: 'currency',
    })
    expect(await control.putPlan('basic', planDraft({ interval: 'year' }))).toEqual({
      kind: 'fixed',
      member: 'interval',
    })
  })

  it('are listed by key at their newest version', async () => {
    for (const key of ['b', 'a']) await control.putPlan(key)
    await control.putPlan('a', feeOf('2.00'))
    const page = await control.plans.list(control.tenant, { limit: 5, after: null })
    expect(page.data.map((plan) => [plan.key, plan.version])).toEqual([
      ['a', 2],
      ['b', 1],
    ])
  })
})

describe('test clocks', () => {
  it('only go forward, and say so', async () => {
    const id = await control.clock('clk_1', '2024-01-01')
    const advance = (to: string) => control.clocks.advance(control.tenant, id, at(to))
    expect(await advance('2024-02-01')).toMatchObject({ kind: 'advanced', clock: { now: at('2024-02-01') } })
    expect(await advance('2024-02-01')).toMatchObject({ kind: 'advanced' })
    expect(await advance('2024-01-31')).toMatchObject({ kind: 'backwards', clock: { now: at('2024-02-01') } })
    expect(await control.clocks.advance(control.tenant, 'clk_0' as TestClockId, at('2024-03-01'))).toEqual({
      kind: 'unknown',
    })
    expect((await published()).map((change) => (change.kind === 'testClock' ? change.now : null))).toEqual([
      at('2024-01-01'),
      at('2024-02-01'),
    ])
  })

  it('one id is one clock, also at the same moment', async () => {
    const id = 'clk_same' as TestClockId
    const make = (now: Instant) =>
      control.clocks.create({ tenant: control.tenant, id, now, createdAt: at('2024-01-01') })
    const outcomes = await Promise.all([1, 2, 3, 4].map((day) => make(at(`2024-01-0${String(day)}`))))
    expect(outcomes.filter((outcome) => outcome.kind === 'created')).toHaveLength(1)
    const there = await control.clocks.get(control.tenant, id)
    expect(outcomes.map((outcome) => outcome.clock)).toEqual([there, there, there, there])
    expect(await published()).toHaveLength(1)
  })

  it('tell the present of their customers; others live by the system', async () => {
    const id = await control.clock('clk_1', '2020-01-01')
    await control.putCustomer('past', { testClock: id })
    await control.putCustomer('acme')
    const time = createCustomerTime(database.db, { now: () => at('2024-01-01') })
    expect(await time.nowOf(control.tenant, customerKey('past'))).toBe(at('2020-01-01'))
    await control.clocks.advance(control.tenant, id, at('2020-01-02'))
    expect(await time.nowOf(control.tenant, customerKey('past'))).toBe(at('2020-01-02'))
    expect(await time.nowOf(control.tenant, customerKey('acme'))).toBe(at('2024-01-01'))
  })
})
