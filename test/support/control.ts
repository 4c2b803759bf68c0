import { type PlanDraft, parsePlan } from '../../src/catalog/plan-parse.ts'
import { parseCustomer } from '../../src/customer/customer-parse.ts'
import type { CustomerDefinition } from '../../src/customer/customer.ts'
import { createCustomerRegistry } from '../../src/database/customers.ts'
import type { Database } from '../../src/database/database.ts'
import { createPlanCatalog } from '../../src/database/plans.ts'
import { createSubscriptionBook } from '../../src/database/subscriptions.ts'
import { ensureTenant } from '../../src/database/tenants.ts'
import { createTestClocks } from '../../src/database/test-clocks.ts'
import type { CustomerKey, PlanKey, SubscriptionId, TenantId, TestClockId } from '../../src/id/ids.ts'
import type { NewSubscription, SubscriptionBook } from '../../src/subscription/subscription-book.ts'
import { type Instant, parseInstant } from '../../src/time/instant.ts'

/** `2024-02-01` is its midnight in UTC; anything longer is RFC 3339. */
export function at(text: string): Instant {
  const parsed = parseInstant(text.length === 10 ? `${text}T00:00:00Z` : text)
  if (parsed === null) throw new Error(`not a time: ${text}`)
  return parsed
}

export const planKey = (text: string): PlanKey => text as PlanKey
export const customerKey = (text: string): CustomerKey => text as CustomerKey
export const subscriptionId = (text: string): SubscriptionId => text as SubscriptionId

/** A plan with one flat fee, `fee`; other members replace those of the document. */
export function planDraft(members: Readonly<Record<string, unknown>> = {}): PlanDraft {
  const parsed = parsePlan({
    name: 'Plan',
    currency: 'USD',
    interval: 'month',
    prices: [{ key: 'fee', name: 'Fee', payment: 'inArrears', price: { model: 'flat', amount: '10.00' } }],
    ...members,
  })
  if (parsed.kind === 'faulty') throw new Error(JSON.stringify(parsed.faults))
  return parsed.draft
}

/** As `planDraft`, with another amount of the fee: what makes a new version. */
export function feeOf(amount: string, members: Readonly<Record<string, unknown>> = {}): PlanDraft {
  return planDraft({
    prices: [{ key: 'fee', name: 'Fee', payment: 'inArrears', price: { model: 'flat', amount } }],
    ...members,
  })
}

export function customerDefinition(
  key: string,
  members: Readonly<Record<string, unknown>> = {},
): CustomerDefinition {
  const parsed = parseCustomer({ name: key, currency: 'USD', timezone: 'UTC', ...members }, customerKey(key))
  if (parsed.kind === 'faulty') throw new Error(JSON.stringify(parsed.faults))
  return parsed.definition
}

/** A tenant of its own in a shared database, and what a test says again and again. */
export async function createControl(database: Database) {
  const { db } = database
  const tenant = `t${String(++tenants)}` as TenantId
  await ensureTenant(db, tenant, tenant, at('2024-01-01'))
  const customers = createCustomerRegistry(db)
  const plans = createPlanCatalog(db)
  const clocks = createTestClocks(db)
  const book = createSubscriptionBook(db)
  let subscriptions = 0

  return {
    tenant,
    customers,
    plans,
    clocks,
    book,
    async putCustomer(key: string, members: Readonly<Record<string, unknown>> = {}) {
      return customers.put(tenant, customerKey(key), customerDefinition(key, members), at('2024-01-01'))
    },
    putPlan: (key: string, draft: PlanDraft = planDraft(), now: Instant = at('2024-01-01')) =>
      plans.put(tenant, planKey(key), draft, now),
    async clock(id: string, now: string): Promise<TestClockId> {
      const testClock = id as TestClockId
      await clocks.create({ tenant, id: testClock, now: at(now), createdAt: at('2024-01-01') })
      return testClock
    },
    subscribe: (members: Partial<NewSubscription>, systemNow: string) =>
      book.create(
        {
          tenant,
          id: subscriptionId(`sub_${String(++subscriptions).padStart(4, '0')}`),
          customer: customerKey('acme'),
          plan: planKey('basic'),
          startsAt: null,
          anchorDay: null,
          overrides: {},
          ...members,
        },
        at(systemNow),
      ),
  }
}
let tenants = 0

export type Control = Awaited<ReturnType<typeof createControl>>

/** The subscription as it stands. */
export async function subscriptionNow(book: SubscriptionBook, tenant: TenantId, id: string) {
  const held = await book.get(tenant, subscriptionId(id))
  if (held === null) throw new Error(`there is no subscription ${id}`)
  return held.subscription
}
