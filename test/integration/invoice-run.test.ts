import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createBillSchedule } from '../../src/database/bill-run.ts'
import type { Database } from '../../src/database/database.ts'
import { createInvoiceStore } from '../../src/database/invoices.ts'
import { createReceivablesStore } from '../../src/database/payments.ts'
import { ensureTenant } from '../../src/database/tenants.ts'
import type { CustomerKey, TestClockId } from '../../src/id/ids.ts'
import { BILL_RUN_LIMITS, type BillRun, createBillRun } from '../../src/invoice/bill-run.ts'
import { createInvoicing } from '../../src/invoice/invoicing.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'
import { customerOf, NO_RUN_METRICS } from '../support/billing-world.ts'
import { openTestDatabase } from '../support/database.ts'
import { aPlan, aPrice, aSubscription, fakeDeps, instant, TENANT } from '../support/invoicing.ts'

const PLAN = aPlan([aPrice('base', { price: { model: 'flat', amount: '10.00' } })])
const customersMax = 30

let database: Database
const clocked = new Map<string, Instant>()
beforeAll(async () => {
  database = await openTestDatabase()
  await ensureTenant(database.db, TENANT, 'Test', instant('2023-01-01'))
  const now = new Date('2023-11-01')
  await database.db
    .insertInto('test_clocks')
    .values({
      tenant: TENANT,
      id: 'clk_1',
      now: new Date('2023-11-30T23:00:00Z'),
      version: 1,
      created_at: now,
    })
    .execute()
  for (let i = 0; i < customersMax; i++) {
    const row = { tenant: TENANT, currency: 'USD', timezone: 'UTC', created_at: now, updated_at: now }
    await database.db
      .insertInto('customers')
      .values({
        ...row,
        key: `c${i}`,
        name: `c${i}`,
        billing: '{}',
        test_clock: i === 0 ? 'clk_1' : null,
        version: 1,
      })
      .execute()
    await database.db
      .insertInto('subscriptions')
      .values({
        tenant: TENANT,
        id: `sub_${i}`,
        customer: `c${i}`,
        state: 'active',
        starts_at: now,
        anchor_day: 1,
        timezone: 'UTC',
        cancel_at: null,
        ended_at: null,
        due_at: null,
        revision: 1,
        created_at: now,
        updated_at: now,
      })
      .execute()
  }
})
afterAll(async () => database.stop())

/** A process that bills: subscriptions are the same for all, customers and schedule come from PostgreSQL. */
function billRun(systemNow: Instant): BillRun {
  const store = createInvoiceStore(database)
  const base = fakeDeps({ store })
  const deps = {
    ...base,
    directory: {
      ...base.directory,
      customer: async (_: unknown, key: CustomerKey) => customerOf(key),
      subscriptions: async (_: unknown, key: CustomerKey) => [
        aSubscription(PLAN, '2023-11-01', { id: key.replace('c', 'sub_') }),
      ],
    },
    time: { nowOf: async (_: unknown, key: CustomerKey) => clocked.get(key) ?? systemNow },
  }
  return createBillRun({
    ...deps,
    invoicing: createInvoicing(deps),
    schedule: createBillSchedule(database),
    runMetrics: NO_RUN_METRICS,
    runLimits: { ...BILL_RUN_LIMITS, batchCustomersMax: 4, workers: 2 },
    onFault: (what, error) => {
      throw new Error(what, { cause: error })
    },
  })
}

async function invoiceCount(customer: string | null): Promise<number> {
  const filter = { customer: customer as CustomerKey | null, state: null, limit: 1000, after: null }
  return (await createInvoiceStore(database).list(TENANT, filter)).data.length
}

describe('the bill run on PostgreSQL', () => {
  it('I9: several processes at once make one invoice a customer and period, with numbers without a gap', async () => {
    const now = instant('2024-01-02')
    const reports = await Promise.all([1, 2, 3].map(() => billRun(now).runDue(now)))
    const finalized = reports.reduce((sum, report) => sum + report.finalized, 0)
    // Whoever found nothing left went away; what the others held then is done by now.
    expect(finalized).toBe((customersMax - 1) * 2)
    expect(await invoiceCount(null)).toBe((customersMax - 1) * 2)
    const rows = await database.db
      .selectFrom('invoices')
      .select(['number', 'customer', 'period_end'])
      .orderBy('sequence')
      .execute()
    expect(rows.map(({ number }) => number)).toEqual(
      rows.map((_, i) => `INV-${String(i + 1).padStart(6, '0')}`),
    )
    expect(new Set(rows.map((row) => `${row.customer} ${row.period_end.toISOString()}`)).size).toBe(
      rows.length,
    )
    expect(await billRun(now).runDue(now)).toEqual({ finalized: 0, credited: 0, empty: 0, held: 0 })
  })

  it('bills a test clock when it is advanced, and not before', async () => {
    const now = instant('2024-01-02')
    const scope = { tenant: TENANT, testClock: 'clk_1' as TestClockId }
    expect(await billRun(now).runDue(now, scope)).toMatchObject({ finalized: 0 })
    await database.db
      .updateTable('test_clocks')
      .set({ now: new Date('2023-12-01T01:00:00Z') })
      .execute()
    clocked.set('c0', instant('2023-12-01T01:00:00Z'))
    expect(await billRun(now).runDue(now, scope)).toMatchObject({ finalized: 1 })
    expect(await invoiceCount('c0')).toBe(1)
  })

  it('looks again at what a change of a subscription or a void makes due', async () => {
    const store = createInvoiceStore(database)
    const { data } = await store.list(TENANT, {
      customer: 'c5' as CustomerKey,
      state: null,
      limit: 1,
      after: null,
    })
    const [last] = data
    if (last === undefined) throw new Error('c5 has invoices')
    const command = { kind: 'void', reason: 'wrong plan', rebill: true } as const
    await createReceivablesStore(database).command(TENANT, last.id, command, instant('2024-01-03'))
    const now = instant('2024-01-03')
    expect(await billRun(now).runDue(now)).toMatchObject({ finalized: 1 })
    await database.db.updateTable('subscriptions').set({ revision: 2 }).where('id', '=', 'sub_6').execute()
    const stale = await createBillSchedule(database).stale(null, 10)
    expect(stale.map(({ customer }) => customer)).toEqual(['c6'])
  })

  it('keeps a hold with its reason, and lets nobody else at a customer that is worked on', async () => {
    const schedule = createBillSchedule(database)
    const entry = {
      tenant: TENANT,
      customer: 'c7' as CustomerKey,
      periodEnd: instant('2024-02-01'),
      now: instantOf(0),
    }
    await schedule.reschedule([
      { ...entry, revision: await revisionOf('c7'), passed: [], nextClose: entry.periodEnd },
    ])
    await schedule.hold(
      entry,
      { kind: 'taxPending', detail: 'no rate' },
      instant('2024-02-02'),
      instant('2024-02-03'),
    )
    expect(await schedule.held(TENANT, 5)).toMatchObject([
      { customer: 'c7', kind: 'taxPending', detail: 'no rate' },
    ])
    const order: string[] = []
    await schedule.exclusively([entry], async (own) => {
      expect(own).toHaveLength(1)
      const busy = await schedule.exclusively(
        [entry],
        async (others) => void order.push(`inner ${others.length}`),
      )
      expect(busy).toEqual([entry])
    })
    await schedule.whenFree(entry)
    expect(order).toEqual(['inner 0'])
  })
})

async function revisionOf(customer: string): Promise<number> {
  const row = await database.db
    .selectFrom('bill_schedules')
    .select('revision')
    .where('customer', '=', customer)
    .executeTakeFirstOrThrow()
  return row.revision
}
