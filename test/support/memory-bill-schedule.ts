import type { CustomerKey, TenantId } from '../../src/id/ids.ts'
import type { BillSchedule, BillScope, DueBilling, HeldBilling } from '../../src/invoice/bill-run-ports.ts'
import type { Instant } from '../../src/time/instant.ts'

export interface ScheduledCustomer {
  readonly tenant: TenantId
  readonly customer: CustomerKey
  /** Changes with every change of the subscriptions. */
  readonly subscriptionsVersion: () => unknown
  /** Changes with every change of the invoices. */
  readonly ledgerVersion: () => Promise<unknown>
  /** The test clock's now; null lives by the system's. */
  readonly clockNow: () => Instant | null
}

interface Entry {
  nextClose: Instant | null
  passed: Instant[]
  seen: string | null
  seenSubscriptions: string
  held: (HeldBilling & { readonly retryAt: Instant }) | null
}

/** The schedule's promises in memory: what PostgreSQL does by triggers is found by comparing. */
export function memoryBillSchedule(customers: readonly ScheduledCustomer[]): BillSchedule {
  const entries = new Map<CustomerKey, Entry>()
  const busy = new Set<CustomerKey>()
  const waiting: (() => void)[] = []
  const inScope = (scope: BillScope | null) =>
    customers.filter((one) => scope === null || (one.tenant === scope.tenant && one.clockNow() !== null))
  const entryOf = (customer: CustomerKey): Entry => {
    const found = entries.get(customer) ?? {
      nextClose: null,
      passed: [],
      seen: null,
      seenSubscriptions: '',
      held: null,
    }
    entries.set(customer, found)
    return found
  }
  const versionOf = async (one: ScheduledCustomer): Promise<string> =>
    JSON.stringify([one.subscriptionsVersion(), await one.ledgerVersion(), entryOf(one.customer).passed])

  async function isStale(one: ScheduledCustomer): Promise<boolean> {
    const entry = entryOf(one.customer)
    const subscriptions = JSON.stringify(one.subscriptionsVersion())
    if (subscriptions !== entry.seenSubscriptions) {
      entry.seenSubscriptions = subscriptions
      entry.passed = []
    }
    const version = await versionOf(one)
    if (entry.seen === version) return false
    if (entry.held !== null) entry.held = null
    return true
  }

  return {
    async stale(scope, limit) {
      const stale = []
      for (const one of inScope(scope)) {
        if (!(await isStale(one))) continue
        stale.push({
          tenant: one.tenant,
          customer: one.customer,
          revision: 0,
          passed: entryOf(one.customer).passed,
        })
      }
      return stale.slice(0, limit)
    },
    async reschedule(given) {
      for (const { customer, nextClose } of given) {
        const one = customers.find((other) => other.customer === customer)
        if (one === undefined) continue
        const entry = entryOf(customer)
        entry.nextClose = nextClose
        entry.seen = await versionOf(one)
      }
    },
    async due({ systemNow, graceMs, scope, includeHeld, limit }) {
      const due: DueBilling[] = []
      for (const one of inScope(scope)) {
        const { nextClose, held } = entryOf(one.customer)
        const now = one.clockNow() ?? systemNow
        if (nextClose === null || nextClose > now - graceMs || (await isStale(one))) continue
        if (held !== null && held.retryAt > systemNow && !includeHeld) continue
        due.push({ tenant: one.tenant, customer: one.customer, periodEnd: nextClose, now })
      }
      return due.sort((a, b) => a.periodEnd - b.periodEnd).slice(0, limit)
    },
    pass: async ({ customer, periodEnd }) => void entryOf(customer).passed.push(periodEnd),
    hold: async ({ customer, periodEnd }, { kind, detail }, since, retryAt) => {
      entryOf(customer).held = { customer, periodEnd, kind, detail, since, retryAt }
    },
    held: async (_, limit) => [...entries.values()].flatMap(({ held }) => held ?? []).slice(0, limit),
    async exclusively(given, work) {
      const own = given.filter(({ customer }) => !busy.has(customer))
      const others = given.filter(({ customer }) => busy.has(customer))
      for (const { customer } of own) busy.add(customer)
      try {
        await work(own)
      } finally {
        for (const { customer } of own) busy.delete(customer)
        for (const wake of waiting.splice(0)) wake()
      }
      return others
    },
    async whenFree({ customer }) {
      while (busy.has(customer)) await new Promise<void>((resolve) => waiting.push(resolve))
    },
  }
}
