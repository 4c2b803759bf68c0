import type { CustomerKey, SubjectId } from '../../src/id/ids.ts'
import { BILL_RUN_LIMITS, type BillRun, type BillRunDeps, createBillRun } from '../../src/invoice/bill-run.ts'
import type { BillableCustomer, BillableSubscription } from '../../src/invoice/billable.ts'
import { createInvoicing, type InvoicingDeps } from '../../src/invoice/invoicing.ts'
import type { BillRunMetrics } from '../../src/invoice/bill-run-ports.ts'
import type { Instant } from '../../src/time/instant.ts'
import { aCustomer, fakeDeps, type FakeUsage, fakeUsage, instant, TENANT } from './invoicing.ts'
import { memoryBillSchedule } from './memory-bill-schedule.ts'
import { type MemoryInvoiceStore, memoryStore } from './memory-invoice-store.ts'

export const NO_RUN_METRICS: BillRunMetrics = {
  closed: () => undefined,
  batch: () => undefined,
  late: () => undefined,
}

export interface BilledCustomer {
  readonly customer: BillableCustomer
  subscriptions: readonly BillableSubscription[]
  /** Its test clock's now; absent lives by the system's. */
  clock?: string
}

/** Customers, a log of usage and a clock, with everything that bills them in memory. */
export interface BillingWorld {
  readonly customers: BilledCustomer[]
  readonly events: FakeUsage[]
  readonly store: MemoryInvoiceStore
  readonly faults: unknown[]
  /** What the run and the closes by hand depend on; a test may put something else in its place. */
  readonly deps: BillRunDeps
  /** A run with these dependencies; each is a process of its own. */
  readonly run: (over?: Partial<BillRunDeps>) => BillRun
  now: Instant
}

export function customerOf(key: string, over: Partial<BillableCustomer> = {}): BillableCustomer {
  return aCustomer({
    key: key as CustomerKey,
    subjects: [{ subject: key as SubjectId, from: null, until: null }],
    ...over,
  })
}

export function openBillingWorld(customers: BilledCustomer[], events: FakeUsage[] = []): BillingWorld {
  const store = memoryStore()
  const usage = fakeUsage(events)
  const find = (key: CustomerKey): BilledCustomer | undefined =>
    customers.find(({ customer }) => customer.key === key)
  const base = fakeDeps({ store, usage })
  const faults: unknown[] = []
  const world: { now: Instant } = { now: instant('2023-11-01') }
  const presentOf = (one: BilledCustomer | undefined): Instant =>
    one?.clock === undefined ? world.now : instant(one.clock)
  const invoicingDeps: InvoicingDeps = {
    ...base,
    directory: {
      customer: async (_, key) => find(key)?.customer ?? null,
      subscriptions: async (_, key) => find(key)?.subscriptions ?? [],
      meter: (tenant, meter, revision) => base.directory.meter(tenant, meter, revision),
    },
    time: { nowOf: async (_, key) => presentOf(find(key)) },
  }
  const schedule = memoryBillSchedule(
    customers.map((one) => ({
      tenant: TENANT,
      customer: one.customer.key,
      subscriptionsVersion: () =>
        one.subscriptions.map(({ id, phases }) => [id, phases.length, phases.at(-1)?.end]),
      ledgerVersion: async () => (await store.ledger(TENANT, one.customer.key)).version,
      clockNow: () => (one.clock === undefined ? null : instant(one.clock)),
    })),
  )
  const deps: BillRunDeps = {
    ...invoicingDeps,
    invoicing: createInvoicing(invoicingDeps),
    schedule,
    runMetrics: NO_RUN_METRICS,
    runLimits: BILL_RUN_LIMITS,
    onFault: (_, error) => void faults.push(error),
  }
  return Object.assign(world, {
    customers,
    events,
    store,
    faults,
    deps,
    run: (over: Partial<BillRunDeps> = {}) => createBillRun({ ...deps, ...over }),
  })
}
