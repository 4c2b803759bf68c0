import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { commandSubscription } from '../../src/database/subscription-commands.ts'
import { lockSubscription } from '../../src/database/subscription-locks.ts'
import type { SubscriptionCommand } from '../../src/subscription/subscription-book.ts'
import { scheduleOf } from '../../src/subscription/subscription.ts'
import { periodOfIndex } from '../../src/time/billing-period.ts'
import { formatInstant } from '../../src/time/instant.ts'
import {
  at,
  type Control,
  createControl,
  customerKey,
  feeOf,
  planDraft,
  planKey,
  subscriptionId,
  subscriptionNow,
} from '../support/control.ts'
import { openTestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'

let database: Database
let control: Control
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(async () => database.stop())
beforeEach(async () => {
  control = await createControl(database)
  await control.putCustomer('acme')
  await control.putPlan('basic')
})

const now = (id = 'sub_0001') => subscriptionNow(control.book, control.tenant, id)
const order = (command: SubscriptionCommand, systemNow: string, id = 'sub_0001') =>
  control.book.command(control.tenant, subscriptionId(id), command, at(systemNow))
const history = async (id = 'sub_0001') =>
  (await control.book.history(control.tenant, subscriptionId(id))).map(
    (notice) => `${formatInstant(notice.at).slice(0, 10)} ${notice.event.slice('subscription.'.length)}`,
  )
const dueAt = async (id = 'sub_0001') => {
  const row = await database.db
    .selectFrom('subscriptions')
    .select('due_at')
    .where('tenant', '=', control.tenant)
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return row.due_at?.toISOString().slice(0, 10) ?? null
}
const waitingForLocks = async () => {
  const { rows } = await sql<{ count: number }>`
    select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`.execute(database.db)
  return rows[0]?.count ?? 0
}
const phases = async (id = 'sub_0001') =>
  (await now(id)).phases.map(
    (phase) => `${formatInstant(phase.start).slice(0, 10)} ${phase.plan}@${String(phase.version)}`,
  )

describe('subscribing', () => {
  it('begins at the present of the customer when no start is named, and is active at once', async () => {
    const outcome = await control.subscribe({}, '2024-01-10T15:00:00Z')
    expect(outcome.kind).toBe('created')
    expect(await now()).toMatchObject({
      state: 'active',
      startsAt: at('2024-01-10T15:00:00Z'),
      anchorDay: 10,
    })
    expect(await history()).toEqual(['2024-01-10 created', '2024-01-10 activated'])
    expect(await dueAt()).toBeNull()
  })

  it('a start in the future is pending until the calendar reaches it', async () => {
    await control.subscribe({ startsAt: at('2024-03-01') }, '2024-01-10')
    expect((await now()).state).toBe('pending')
    expect(await dueAt()).toBe('2024-03-01')
    expect(await control.book.runDue(at('2024-02-29T23:59:59.999Z'))).toBe(0)
    expect(await control.book.runDue(at('2024-03-01'))).toBe(1)
    expect((await now()).state).toBe('active')
    expect(await control.book.runDue(at('2024-03-01'))).toBe(0)
    expect(await history()).toEqual(['2024-01-10 created', '2024-03-01 activated'])
  })

  it('a pending subscription that is canceled ends where it would have begun', async () => {
    await control.subscribe({ startsAt: at('2024-03-01') }, '2024-01-10')
    await order({ kind: 'cancel', at: 'now', reason: 'a mistake' }, '2024-01-11')
    expect(await now()).toMatchObject({ state: 'canceled', endedAt: at('2024-03-01') })
    expect(await control.book.runDue(at('2024-03-02'))).toBe(0)
  })

  it('refuses what does not exist or does not go together', async () => {
    await control.putPlan('euro', planDraft({ currency: 'EUR' }))
    await control.putPlan('weekly', planDraft({ interval: 'week' }))
    const outcomes = [
      await control.subscribe({ customer: customerKey('nobody') }, '2024-01-10'),
      await control.subscribe({ plan: planKey('nothing') }, '2024-01-10'),
      await control.subscribe({ plan: planKey('euro') }, '2024-01-10'),
      await control.subscribe({ plan: planKey('weekly'), anchorDay: 8 }, '2024-01-10'),
      await control.subscribe({ overrides: { nothing: {} } }, '2024-01-10'),
      await control.subscribe(
        { overrides: { fee: { price: { model: 'flat', amount: '-1' } } } },
        '2024-01-10',
      ),
    ]
    expect(outcomes).toMatchObject([
      { kind: 'unknownCustomer' },
      { kind: 'unknownPlan' },
      { kind: 'currencyDiffers', customer: 'USD', plan: 'EUR' },
      { kind: 'anchorOutOfRange', anchorDayMax: 7 },
      { kind: 'faultyOverrides', faults: [{ pointer: '/overrides/nothing' }] },
      { kind: 'faultyOverrides', faults: [{ pointer: '/overrides/fee/price/amount' }] },
    ])
    expect(await control.book.ofCustomer(control.tenant, customerKey('acme'))).toEqual([])
  })

  it('I7: the same id twice is one subscription, also at the same moment', async () => {
    const id = subscriptionId('sub_same')
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => control.subscribe({ id }, '2024-01-10')),
    )
    expect(new Set(outcomes.map((outcome) => outcome.kind))).toEqual(new Set(['created']))
    expect(await control.book.ofCustomer(control.tenant, customerKey('acme'))).toHaveLength(1)
    expect(await history('sub_same')).toHaveLength(2)
  })

  it.each([29, 30, 31])('anchor day %i comes back after a short month', async (anchorDay) => {
    await control.subscribe({ startsAt: at('2024-01-01'), anchorDay }, '2024-01-10')
    const schedule = scheduleOf(await now(), 'month')
    const starts = [1, 2, 3].map((index) => formatInstant(periodOfIndex(schedule, index).start).slice(0, 10))
    expect(starts).toEqual(
      ['2024-01', '2024-02', '2024-03'].map(
        (month) => `${month}-${String(month === '2024-02' ? 29 : anchorDay)}`,
      ),
    )
  })

  it('periods keep the zone of the customer at the time of subscribing, over a change of clocks', async () => {
    await control.putCustomer('berlin', { timezone: 'Europe/Berlin' })
    await control.subscribe(
      { customer: customerKey('berlin'), startsAt: at('2024-02-29T23:00:00Z') },
      '2024-03-10',
    )
    await control.putCustomer('berlin', { timezone: 'America/New_York' })
    const subscription = await now()
    expect(subscription).toMatchObject({ timezone: 'Europe/Berlin', anchorDay: 1 })
    const march = periodOfIndex(scheduleOf(subscription, 'month'), 0)
    expect([formatInstant(march.start), formatInstant(march.end)]).toEqual([
      '2024-02-29T23:00:00Z',
      '2024-03-31T22:00:00Z',
    ])
    await order({ kind: 'cancel', at: 'periodEnd', reason: null }, '2024-03-31T21:59:59Z')
    expect(await now()).toMatchObject({ cancelAt: march.end })
  })
})

describe('commands', () => {
  beforeEach(async () => {
    await control.subscribe({ startsAt: at('2024-01-10') }, '2024-01-10')
  })

  it('cancel now ends it at the present, for good', async () => {
    expect((await order({ kind: 'cancel', at: 'now', reason: 'moved on' }, '2024-01-20')).kind).toBe(
      'changed',
    )
    expect(await now()).toMatchObject({ state: 'canceled', endedAt: at('2024-01-20') })
    for (const command of [
      { kind: 'cancel', at: 'now', reason: null },
      { kind: 'uncancel' },
      { kind: 'pause', resumeAt: null },
      { kind: 'resume' },
    ] as const) {
      expect((await order(command, '2024-01-21')).kind).toBe('illegal')
    }
    expect(await now()).toMatchObject({ state: 'canceled', revision: 2 })
    expect((await history()).at(-1)).toBe('2024-01-20 canceled')
  })

  it('cancel at the end of the period is scheduled, taken back, and scheduled again', async () => {
    await order({ kind: 'cancel', at: 'periodEnd', reason: null }, '2024-01-20')
    expect(await dueAt()).toBe('2024-02-10')
    expect((await order({ kind: 'cancel', at: 'periodEnd', reason: null }, '2024-01-21')).kind).toBe(
      'unchanged',
    )
    expect((await order({ kind: 'uncancel' }, '2024-01-22')).kind).toBe('changed')
    expect((await order({ kind: 'uncancel' }, '2024-01-22')).kind).toBe('unchanged')
    expect(await dueAt()).toBeNull()
    await order({ kind: 'cancel', at: at('2024-01-25'), reason: null }, '2024-01-23')
    expect(await control.book.runDue(at('2024-01-26'))).toBe(1)
    expect(await now()).toMatchObject({ state: 'canceled', endedAt: at('2024-01-25'), cancelAt: null })
    expect(await history()).toEqual([
      '2024-01-10 created',
      '2024-01-10 activated',
      '2024-01-20 cancel_scheduled',
      '2024-01-22 cancel_unscheduled',
      '2024-01-23 cancel_scheduled',
      '2024-01-25 canceled',
    ])
  })

  it('a time that has come is refused', async () => {
    const refusals = [
      await order({ kind: 'cancel', at: at('2024-01-20'), reason: null }, '2024-01-20'),
      await order({ kind: 'pause', resumeAt: at('2024-01-20') }, '2024-01-20'),
    ]
    expect(refusals).toEqual([
      { kind: 'notInFuture', now: at('2024-01-20') },
      { kind: 'notInFuture', now: at('2024-01-20') },
    ])
    expect((await now()).revision).toBe(1)
  })

  it('I3: a command catches up with the calendar first and is judged after it', async () => {
    await order({ kind: 'cancel', at: 'periodEnd', reason: null }, '2024-01-20')
    const outcome = await order({ kind: 'uncancel' }, '2024-02-11')
    expect(outcome.kind).toBe('illegal')
    expect(await now()).toMatchObject({ state: 'canceled', endedAt: at('2024-02-10') })
    expect(await control.book.runDue(at('2024-02-11'))).toBe(0)
  })

  it('a pause is resumed by hand or by the calendar, and may begin anew at the same instant', async () => {
    await order({ kind: 'pause', resumeAt: at('2024-02-01') }, '2024-01-20')
    expect((await order({ kind: 'pause', resumeAt: null }, '2024-01-21')).kind).toBe('illegal')
    await order({ kind: 'resume' }, '2024-01-25')
    await order({ kind: 'pause', resumeAt: null }, '2024-01-25')
    await order({ kind: 'resume' }, '2024-01-25')
    await order({ kind: 'pause', resumeAt: at('2024-02-05') }, '2024-01-25')
    expect(await dueAt()).toBe('2024-02-05')
    expect(await control.book.runDue(at('2024-03-01'))).toBe(1)
    expect(await now()).toMatchObject({
      state: 'active',
      pauses: [
        { start: at('2024-01-20'), end: at('2024-01-25') },
        { start: at('2024-01-25'), end: at('2024-02-05') },
      ],
    })
    expect((await history()).at(-1)).toBe('2024-02-05 resumed')
  })

  it('I6: two commands at the same moment run one after the other', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, () => order({ kind: 'pause', resumeAt: null }, '2024-01-20')),
    )
    expect(outcomes.filter((outcome) => outcome.kind === 'changed')).toHaveLength(1)
    expect(outcomes.filter((outcome) => outcome.kind === 'illegal')).toHaveLength(9)
    expect(await now()).toMatchObject({ revision: 2, pauses: [{ start: at('2024-01-20'), end: null }] })
    expect((await history()).filter((line) => line.endsWith('paused'))).toHaveLength(1)
  })

  it('knows no subscription of another tenant', async () => {
    const other = await createControl(database)
    const id = subscriptionId('sub_0001')
    expect(await other.book.get(other.tenant, id)).toBeNull()
    expect(await other.book.history(other.tenant, id)).toEqual([])
    expect(await other.book.command(other.tenant, id, { kind: 'resume' }, at('2024-01-20'))).toEqual({
      kind: 'unknown',
    })
  })
})

describe('change of plans', () => {
  const change = (plan: string, when: string, systemNow: string, overrides = {}) =>
    control.book.changePlan(
      control.tenant,
      subscriptionId('sub_0001'),
      { plan: planKey(plan), at: when === 'now' || when === 'periodEnd' ? when : at(when), overrides },
      at(systemNow),
    )
  beforeEach(async () => {
    await control.putPlan('pro', feeOf('50.00'))
    await control.subscribe({ startsAt: at('2024-01-10') }, '2024-01-10')
  })

  it('now, at the end of the period, and at an instant', async () => {
    await change('pro', 'now', '2024-01-20')
    await change('basic', 'periodEnd', '2024-01-21')
    await change('pro', '2024-03-01', '2024-01-22')
    expect(await phases()).toEqual([
      '2024-01-10 basic@1',
      '2024-01-20 pro@1',
      '2024-02-10 basic@1',
      '2024-03-01 pro@1',
    ])
    expect((await history()).filter((line) => line.endsWith('changed'))).toHaveLength(3)
  })

  it('a later change supersedes what was scheduled after it; a change and its undoing leave nothing', async () => {
    await change('pro', 'periodEnd', '2024-01-20')
    await change('pro', '2024-01-25', '2024-01-21')
    expect(await phases()).toEqual(['2024-01-10 basic@1', '2024-01-25 pro@1'])
    await change('basic', '2024-01-25', '2024-01-21')
    expect(await phases()).toEqual(['2024-01-10 basic@1'])
    expect((await change('basic', 'now', '2024-01-22')).kind).toBe('unchanged')
  })

  it('changes at one instant collapse to the last', async () => {
    await change('pro', 'now', '2024-01-20')
    await change('basic', 'now', '2024-01-20', { fee: { price: { model: 'flat', amount: '1.00' } } })
    const subscription = await now()
    expect(subscription.phases).toHaveLength(2)
    expect(subscription.phases[1]).toMatchObject({
      plan: 'basic',
      overrides: { fee: { price: { amount: '1.00' } } },
    })
    expect(
      (await change('basic', 'now', '2024-01-20', { fee: { price: { amount: '1.00', model: 'flat' } } }))
        .kind,
    ).toBe('unchanged')
  })

  it('refuses what does not go together and what would never be seen', async () => {
    await control.putPlan('euro', feeOf('1.00', { currency: 'EUR' }))
    await control.putPlan('yearly', feeOf('1.00', { interval: 'year' }))
    expect([
      await change('nothing', 'now', '2024-01-20'),
      await change('euro', 'now', '2024-01-20'),
      await change('yearly', 'now', '2024-01-20'),
      await change('pro', 'now', '2024-01-20', { nothing: {} }),
      await change('pro', '2024-01-20', '2024-01-20'),
    ]).toMatchObject([
      { kind: 'unknownPlan' },
      { kind: 'currencyDiffers', customer: 'USD', plan: 'EUR' },
      { kind: 'intervalDiffers', from: 'month', to: 'year' },
      { kind: 'faultyOverrides' },
      { kind: 'notInFuture' },
    ])
    await order({ kind: 'cancel', at: 'periodEnd', reason: null }, '2024-01-20')
    expect((await change('pro', 'periodEnd', '2024-01-21')).kind).toBe('illegal')
    await order({ kind: 'pause', resumeAt: null }, '2024-01-21')
    expect((await change('pro', 'now', '2024-01-21')).kind).toBe('illegal')
    expect(await phases()).toEqual(['2024-01-10 basic@1'])
  })
})

describe('lists', () => {
  it('pages by id, by customer and by plan', async () => {
    await control.putCustomer('zeta')
    await control.putPlan('pro')
    await control.subscribe({}, '2024-01-10')
    await control.subscribe({ customer: customerKey('zeta') }, '2024-01-10')
    await control.subscribe({ plan: planKey('pro') }, '2024-01-10')
    const ids = async (filter: object, limit = 2, after: string | null = null) => {
      const page = await control.book.list(control.tenant, { limit, after }, filter)
      return [page.data.map(({ subscription }) => subscription.id), page.next]
    }
    expect(await ids({})).toEqual([['sub_0001', 'sub_0002'], 'sub_0002'])
    expect(await ids({}, 2, 'sub_0002')).toEqual([['sub_0003'], null])
    expect(await ids({ customer: customerKey('zeta') })).toEqual([['sub_0002'], null])
    expect(await ids({ plan: planKey('pro') })).toEqual([['sub_0003'], null])
    expect(await ids({ plan: planKey('pro'), customer: customerKey('zeta') })).toEqual([[], null])
  })
})

describe('test clocks', () => {
  it('a customer on one lives by it: creation, commands and what is due', async () => {
    const testClock = await control.clock('clk_1', '2020-01-01')
    await control.putCustomer('past', { testClock })
    await control.subscribe({ customer: customerKey('past'), startsAt: at('2020-02-01') }, '2024-01-10')
    expect((await now()).state).toBe('pending')
    expect(await control.book.runDue(at('2024-01-10'))).toBe(0)
    await control.clocks.advance(control.tenant, testClock, at('2020-02-01'))
    const scope = { tenant: control.tenant, testClock }
    expect(await control.book.runDue(at('2024-01-10'), scope)).toBe(1)
    const outcome = await order({ kind: 'cancel', at: 'periodEnd', reason: null }, '2024-01-10')
    expect(outcome).toMatchObject({
      kind: 'changed',
      held: { testClockNow: at('2020-02-01'), subscription: { cancelAt: at('2020-03-01') } },
    })
  })

  it('I8: what a process that was killed left undone is done by the next run of the system', async () => {
    const testClock = await control.clock('clk_1', '2030-01-01')
    await control.putCustomer('future', { testClock })
    await control.subscribe({ customer: customerKey('future'), startsAt: at('2030-02-01') }, '2024-01-10')
    await control.clocks.advance(control.tenant, testClock, at('2030-03-01'))
    expect(await control.book.runDue(at('2024-01-10'))).toBe(1)
    expect(await now()).toMatchObject({ state: 'active' })
  })

  it('a run for one clock leaves customers of others alone', async () => {
    const first = await control.clock('clk_1', '2024-01-01')
    await control.clock('clk_2', '2024-01-01')
    await control.putCustomer('one', { testClock: first })
    await control.putCustomer('two', { testClock: 'clk_2' })
    for (const customer of ['one', 'two', 'acme']) {
      await control.subscribe({ customer: customerKey(customer), startsAt: at('2024-01-05') }, '2024-01-01')
    }
    await control.clocks.advance(control.tenant, first, at('2024-01-05'))
    expect(await control.book.runDue(at('2024-01-06'), { tenant: control.tenant, testClock: first })).toBe(1)
    expect([
      (await now('sub_0001')).state,
      (await now('sub_0002')).state,
      (await now('sub_0003')).state,
    ]).toEqual(['active', 'pending', 'pending'])
  })

  it('I6: an advance waits for a command that is under way, and finds due what it has scheduled', async () => {
    const testClock = await control.clock('clk_1', '2024-01-10')
    await control.putCustomer('timed', { testClock })
    await control.subscribe({ customer: customerKey('timed') }, '2024-01-10')
    const command = { kind: 'cancel', at: at('2024-01-15'), reason: null } as const
    const id = subscriptionId('sub_0001')
    const { commanded, advance } = await database.db.transaction().execute(async (transaction) => {
      await lockSubscription(transaction, control.tenant, id, at('2024-01-10'))
      const begun = control.clocks.advance(control.tenant, testClock, at('2024-01-20'))
      await eventually(waitingForLocks, (count) => count === 1)
      const { kind } = await commandSubscription(transaction, control.tenant, id, command, at('2024-01-10'))
      return { commanded: kind, advance: { begun } }
    })
    expect([commanded, (await advance.begun).kind]).toEqual(['changed', 'advanced'])
    expect(await control.book.runDue(at('2024-01-10'), { tenant: control.tenant, testClock })).toBe(1)
    expect(await now()).toMatchObject({ state: 'canceled', endedAt: at('2024-01-15') })
  })

  it('a run goes on over many due subscriptions, and over one at fault', async () => {
    for (let i = 0; i < 12; i++) await control.subscribe({ startsAt: at('2024-02-01') }, '2024-01-10')
    await database.db
      .updateTable('subscriptions')
      .set({ state: 'incomplete', cancel_at: new Date(at('2024-02-02')) })
      .where('tenant', '=', control.tenant)
      .where('id', '=', 'sub_0005')
      .execute()
    await expect(control.book.runDue(at('2024-02-03'))).rejects.toThrow('1 due subscriptions failed')
    expect((await now('sub_0012')).state).toBe('active')
    await database.db
      .deleteFrom('subscriptions')
      .where('tenant', '=', control.tenant)
      .where('id', '=', 'sub_0005')
      .execute()
    expect(await control.book.runDue(at('2024-02-03'))).toBe(0)
  })
})

describe('a new version of a plan', () => {
  const version = (amount: string, members: Readonly<Record<string, unknown>>, systemNow: string) =>
    control.putPlan('basic', feeOf(amount, members), at(systemNow))
  beforeEach(async () => {
    await control.subscribe({ startsAt: at('2024-01-10') }, '2024-01-10')
  })

  it('I5: reaches nobody by itself', async () => {
    expect(await version('20.00', {}, '2024-01-20')).toMatchObject({
      kind: 'versioned',
      subscriptionsReached: 0,
    })
    expect(await phases()).toEqual(['2024-01-10 basic@1'])
    await control.subscribe({ startsAt: at('2024-01-05') }, '2024-01-21')
    expect(await phases('sub_0002')).toEqual(['2024-01-05 basic@2'])
  })

  it('I5: at the next renewal', async () => {
    await version('20.00', { existingSubscriptions: 'nextRenewal' }, '2024-01-20')
    expect(await phases()).toEqual(['2024-01-10 basic@1', '2024-02-10 basic@2'])
  })

  it('I5: immediately, but never for time that has passed', async () => {
    await version(
      '20.00',
      { existingSubscriptions: 'immediate', effectiveAt: '2024-01-12T00:00:00Z' },
      '2024-01-20',
    )
    expect(await phases()).toEqual(['2024-01-10 basic@1', '2024-01-20 basic@2'])
  })

  it('a version announced for later waits, and one that overtakes it drops it', async () => {
    await version(
      '20.00',
      { existingSubscriptions: 'immediate', effectiveAt: '2024-06-01T00:00:00Z' },
      '2024-01-20',
    )
    expect(await phases()).toEqual(['2024-01-10 basic@1', '2024-06-01 basic@2'])
    await control.subscribe({}, '2024-01-21')
    expect(await phases('sub_0002')).toEqual(['2024-01-21 basic@1', '2024-06-01 basic@2'])
    await version(
      '30.00',
      { existingSubscriptions: 'immediate', effectiveAt: '2024-05-01T00:00:00Z' },
      '2024-01-22',
    )
    expect(await phases()).toEqual(['2024-01-10 basic@1', '2024-05-01 basic@3'])
  })

  it('reaches a plan that is only scheduled, and not one that was left', async () => {
    await control.putPlan('pro')
    const id = subscriptionId('sub_0001')
    const to = (plan: string, when: string) =>
      control.book.changePlan(
        control.tenant,
        id,
        { plan: planKey(plan), at: at(when), overrides: {} },
        at('2024-01-20'),
      )
    await to('pro', '2024-03-01')
    await to('basic', '2024-05-01')
    await version(
      '20.00',
      { existingSubscriptions: 'immediate', effectiveAt: '2024-04-01T00:00:00Z' },
      '2024-01-21',
    )
    expect(await phases()).toEqual(['2024-01-10 basic@1', '2024-03-01 pro@1', '2024-05-01 basic@2'])
  })

  it('reaches a pending one from its start, and no ended one', async () => {
    await control.subscribe({ startsAt: at('2024-03-15'), anchorDay: 1 }, '2024-01-10')
    await order({ kind: 'cancel', at: 'now', reason: null }, '2024-01-15')
    const outcome = await version('20.00', { existingSubscriptions: 'nextRenewal' }, '2024-01-20')
    expect(outcome).toMatchObject({ subscriptionsReached: 1 })
    expect(await phases('sub_0002')).toEqual(['2024-03-15 basic@2'])
    expect(await phases()).toEqual(['2024-01-10 basic@1'])
  })

  it('goes by the clock of the customer', async () => {
    const testClock = await control.clock('clk_1', '2020-01-20')
    await control.putCustomer('past', { testClock })
    await control.subscribe({ customer: customerKey('past'), startsAt: at('2020-01-10') }, '2024-01-20')
    await version('20.00', { existingSubscriptions: 'nextRenewal' }, '2024-01-20')
    expect(await phases('sub_0002')).toEqual(['2020-01-10 basic@1', '2020-02-10 basic@2'])
  })

  it('is refused as a whole where overrides of a subscription do not go with it', async () => {
    await control.subscribe(
      { overrides: { fee: { price: { model: 'flat', amount: '5.00' } } } },
      '2024-01-10',
    )
    const renamed = {
      prices: [{ key: 'seat', name: 'Seat', payment: 'inArrears', price: { model: 'flat', amount: '1.00' } }],
    }
    const outcome = await version('20.00', { ...renamed, existingSubscriptions: 'immediate' }, '2024-01-20')
    expect(outcome).toMatchObject({
      kind: 'overridesDoNotFit',
      subscription: 'sub_0002',
      faults: [{ pointer: '/overrides/fee' }],
    })
    expect(await phases()).toEqual(['2024-01-10 basic@1'])
    expect((await control.plans.current(control.tenant, planKey('basic')))?.version).toBe(1)
  })

  it('I5: no subscription that begins meanwhile misses a version', async () => {
    await Promise.all([
      ...Array.from({ length: 6 }, () => control.subscribe({}, '2024-02-01')),
      version('20.00', { existingSubscriptions: 'immediate' }, '2024-02-01'),
      ...Array.from({ length: 6 }, () => control.subscribe({}, '2024-02-01')),
    ])
    for (const subscription of await control.book.ofCustomer(control.tenant, customerKey('acme'))) {
      expect(subscription.phases.at(-1)?.version).toBe(2)
    }
  })
})
