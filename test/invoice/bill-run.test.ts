import { describe, expect, it } from 'vitest'
import type { CustomerKey, TestClockId } from '../../src/id/ids.ts'
import { BILL_RUN_LIMITS, type BillRunDeps } from '../../src/invoice/bill-run.ts'
import type { Invoice } from '../../src/invoice/invoice.ts'
import { createInvoicing } from '../../src/invoice/invoicing.ts'
import {
  type BilledCustomer,
  type BillingWorld,
  customerOf,
  openBillingWorld,
} from '../support/billing-world.ts'
import { aPlan, aPrice, aSubscription, instant, TENANT } from '../support/invoicing.ts'

const PLAN = aPlan([
  aPrice('base', { price: { model: 'flat', amount: '10.00' } }),
  aPrice('calls', { price: { model: 'unit', unitAmount: '0.01' } }, { meter: 'calls' }),
])

function subscribers(count: number, start = '2023-11-01'): BilledCustomer[] {
  return Array.from({ length: count }, (_, i) => ({
    customer: customerOf(`c${i}`),
    subscriptions: [aSubscription(PLAN, start, { id: `sub_${i}` })],
  }))
}

async function invoicesOf(world: BillingWorld, customer: string): Promise<readonly Invoice[]> {
  const filter = { customer: customer as CustomerKey, state: null, limit: 1000, after: null }
  return (await world.store.list(TENANT, filter)).data.toReversed()
}

describe('the bill run', () => {
  it('waits for the grace, then closes each period once, however often it runs', async () => {
    const world = openBillingWorld(subscribers(3))
    const run = world.run()
    expect(await run.runDue(instant('2023-12-01T00:59:59Z'))).toMatchObject({ finalized: 0 })
    world.now = instant('2023-12-01T01:00:00Z')
    expect(await run.runDue(world.now)).toEqual({ finalized: 3, credited: 0, empty: 0, held: 0 })
    expect(await run.runDue(world.now)).toMatchObject({ finalized: 0 })
    expect(await invoicesOf(world, 'c1')).toMatchObject([
      { periodEnd: '2023-12-01T00:00:00Z', total: '10.00' },
    ])
  })

  it('counts what is accepted within the grace', async () => {
    const world = openBillingWorld(subscribers(1), [])
    world.events.push({ meter: 'calls', at: '2023-11-30T23:59:59Z', quantity: '500', subject: 'c0' })
    await world.run().runDue(instant('2023-12-01T01:00:00Z'))
    expect(await invoicesOf(world, 'c0')).toMatchObject([{ total: '15.00' }])
  })

  it('catches up missed periods in their order, an invoice each', async () => {
    const world = openBillingWorld(subscribers(2))
    expect(await world.run().runDue(instant('2024-03-10'))).toMatchObject({ finalized: 8 })
    expect((await invoicesOf(world, 'c0')).map(({ periodEnd }) => periodEnd).sort()).toEqual([
      '2023-12-01T00:00:00Z',
      '2024-01-01T00:00:00Z',
      '2024-02-01T00:00:00Z',
      '2024-03-01T00:00:00Z',
    ])
  })

  it("closes when the day is over in the customer's zone", async () => {
    const zoned = (key: string, timezone: string): BilledCustomer => ({
      customer: customerOf(key, { timezone }),
      subscriptions: [aSubscription(PLAN, '2023-11-05', { id: `sub_${key}`, timezone })],
    })
    const world = openBillingWorld([zoned('tokyo', 'Asia/Tokyo'), zoned('la', 'America/Los_Angeles')])
    await world.run().runDue(instant('2023-11-30T16:00:00Z'))
    expect(await invoicesOf(world, 'tokyo')).toHaveLength(1)
    expect(await invoicesOf(world, 'la')).toHaveLength(0)
    await world.run().runDue(instant('2023-12-01T09:00:00Z'))
    expect(await invoicesOf(world, 'la')).toMatchObject([{ periodEnd: '2023-12-01T08:00:00Z' }])
  })

  it('bills customers on a test clock by their clock, and answers when all of it is done', async () => {
    const [first, second] = subscribers(2)
    if (first === undefined || second === undefined) throw new Error('two subscribers')
    first.clock = '2023-11-30T23:00:00Z'
    const world = openBillingWorld([first, second])
    await world.run().runDue(instant('2024-01-15'))
    expect(await invoicesOf(world, 'c0')).toHaveLength(0)
    expect(await invoicesOf(world, 'c1')).toHaveLength(2)
    first.clock = '2023-12-01T02:00:00Z'
    const scope = { tenant: TENANT, testClock: 'clk_1' as TestClockId }
    expect(await world.run().runDue(instant('2024-01-15'), scope)).toMatchObject({ finalized: 1 })
    expect(await invoicesOf(world, 'c0')).toMatchObject([{ issuedAt: '2023-12-01T02:00:00Z' }])
  })

  it('goes with closes by hand in both orders', async () => {
    const world = openBillingWorld(subscribers(1))
    world.now = instant('2023-12-01T00:10:00Z')
    const request = { tenant: TENANT, customer: 'c0' as CustomerKey, periodEnd: instant('2023-12-01') }
    const byHand = await world.deps.invoicing.close(request)
    expect(byHand.kind).toBe('finalized')
    world.now = instant('2023-12-02')
    expect(await world.run().runDue(world.now)).toMatchObject({ finalized: 0 })
    world.now = instant('2024-01-02')
    await world.run().runDue(world.now)
    const second = { ...request, periodEnd: instant('2024-01-01') }
    expect(await world.deps.invoicing.close(second)).toMatchObject({ kind: 'existing' })
    expect(await invoicesOf(world, 'c0')).toHaveLength(2)
  })

  it('holds a customer that cannot be billed, says why, goes on with the others, and tries again', async () => {
    const world = openBillingWorld(subscribers(5))
    const broken = { isBroken: true }
    const directory: BillRunDeps['directory'] = {
      ...world.deps.directory,
      meter: async (tenant, meter, revision) =>
        broken.isBroken ? null : world.deps.directory.meter(tenant, meter, revision),
      subscriptions: async (tenant, key) => {
        const held = await world.deps.directory.subscriptions(tenant, key)
        if (key === 'c3') return held
        return held.map((one) => ({
          ...one,
          phases: one.phases.map((phase) => ({
            ...phase,
            plan: { ...phase.plan, prices: phase.plan.prices.filter(({ meter }) => meter === null) },
          })),
        }))
      },
    }
    const over = { directory, invoicing: createInvoicing({ ...world.deps, directory }) }
    expect(await world.run(over).runDue(instant('2023-12-02'))).toMatchObject({ finalized: 4, held: 1 })
    expect(await world.deps.schedule.held(TENANT, 10)).toMatchObject([
      { customer: 'c3', kind: 'unknownMeter', periodEnd: instant('2023-12-01') },
    ])
    expect(await world.run(over).runDue(instant('2023-12-02T00:00:30Z'))).toMatchObject({ held: 0 })
    broken.isBroken = false
    expect(await world.run(over).runDue(instant('2023-12-02T00:01:00Z'))).toMatchObject({
      finalized: 1,
      held: 0,
    })
    expect(world.faults).toEqual([])
  })

  it('holds a customer whose data makes the program fail, tells the fault, and bills the others', async () => {
    const world = openBillingWorld(subscribers(5))
    const directory: BillRunDeps['directory'] = {
      ...world.deps.directory,
      customer: async (tenant, key) => {
        if (key === 'c2') throw new Error('a row that cannot be read')
        return world.deps.directory.customer(tenant, key)
      },
    }
    const over = { directory, invoicing: createInvoicing({ ...world.deps, directory }) }
    expect(await world.run(over).runDue(instant('2023-12-02'))).toMatchObject({ finalized: 4, held: 1 })
    expect(world.faults).toHaveLength(1)
    await world.run().runDue(instant('2023-12-03')) // mended, billed, and broken again before the next period
    expect(await world.run(over).runDue(instant('2024-01-02'))).toMatchObject({ finalized: 4, held: 1 })
    expect(world.faults).toHaveLength(2)
  })

  it('holds everybody while events are not accounted for', async () => {
    const world = openBillingWorld(subscribers(2))
    const checks = { run: async () => [{ name: 'conservation', ok: false, detail: '1 record too few' }] }
    expect(await world.run({ checks }).runDue(instant('2023-12-02'))).toMatchObject({ finalized: 0, held: 2 })
    expect(await world.deps.schedule.held(TENANT, 10)).toMatchObject([
      { kind: 'conservationMismatch' },
      { kind: 'conservationMismatch' },
    ])
  })

  it('bills late usage after the end of a subscription once more, when no event can still come', async () => {
    const world = openBillingWorld([
      {
        customer: customerOf('c0'),
        subscriptions: [aSubscription(PLAN, '2023-11-01', { end: '2023-12-01' })],
      },
    ])
    await world.run().runDue(instant('2023-12-02'))
    world.events.push({ meter: 'calls', at: '2023-11-20T00:00:00Z', quantity: '300', subject: 'c0' })
    await world.run().runDue(instant('2024-01-04'))
    expect(await invoicesOf(world, 'c0')).toHaveLength(1)
    await world.run().runDue(instant('2024-01-06T01:00:00Z'))
    expect((await invoicesOf(world, 'c0')).find(({ total }) => total === '3.00')).toMatchObject({
      lines: [
        { kind: 'lateUsage', quantity: '300', amount: '3.00', start: '2023-11-01T00:00:00Z', planVersion: 1 },
      ],
    })
    expect(await world.run().runDue(instant('2025-01-01'))).toEqual({
      finalized: 0,
      credited: 0,
      empty: 0,
      held: 0,
    })
  })

  it('suppresses an invoice of nothing, once and for all', async () => {
    const world = openBillingWorld([
      {
        customer: customerOf('c0'),
        subscriptions: [aSubscription(PLAN, '2023-11-01', { end: '2023-12-01' })],
      },
    ])
    expect(await world.run().runDue(instant('2024-03-01'))).toMatchObject({ finalized: 1, empty: 1 })
    expect(await world.run().runDue(instant('2024-04-01'))).toMatchObject({ finalized: 0, empty: 0 })
  })

  it('leaves a voided period alone, unless the void says to bill it anew', async () => {
    const world = openBillingWorld(subscribers(1))
    await world.run().runDue(instant('2023-12-02'))
    const voidLast = async (rebill: boolean): Promise<void> => {
      const last = (await invoicesOf(world, 'c0')).find(({ state }) => state === 'finalized')
      if (last === undefined) throw new Error('nothing to void')
      const command = { kind: 'void', reason: null, rebill } as const
      await world.store.receivables.command(TENANT, last.id, command, instant('2023-12-02'))
    }
    await voidLast(true)
    expect(await world.run().runDue(instant('2023-12-03'))).toMatchObject({ finalized: 1 })
    await voidLast(false)
    expect(await world.run().runDue(instant('2023-12-04'))).toMatchObject({ finalized: 0 })
  })

  it('INV-21: processes at the same time make one invoice a customer and period', async () => {
    const world = openBillingWorld(subscribers(40))
    const runLimits = { ...BILL_RUN_LIMITS, batchCustomersMax: 7 }
    await Promise.all([1, 2, 3].map(() => world.run({ runLimits }).runDue(instant('2024-02-02'))))
    await world.run().runDue(instant('2024-02-02'))
    const all = await world.store.list(TENANT, { customer: null, state: null, limit: 1000, after: null })
    expect(all.data).toHaveLength(120)
    expect(new Set(all.data.map(({ customer, periodEnd }) => `${customer} ${periodEnd}`)).size).toBe(120)
  })
})
