import { randomBytes } from 'node:crypto'
import type { PlanCatalog } from '../catalog/plan-catalog.ts'
import type { CustomerRegistry } from '../customer/customer-registry.ts'
import type { AdvanceOutcome, CustomerTime, TestClocks } from '../customer/test-clock.ts'
import { createCustomerRegistry } from '../database/customers.ts'
import type { Database } from '../database/database.ts'
import { createMeterRegistry } from '../database/meters.ts'
import { createPlanCatalog } from '../database/plans.ts'
import { createSubscriptionBook } from '../database/subscriptions.ts'
import { createCustomerTime, createTestClocks } from '../database/test-clocks.ts'
import type { TenantId, TestClockId } from '../id/ids.ts'
import type { SubscriptionBook } from '../subscription/subscription-book.ts'
import type { Clock } from '../time/clock.ts'
import type { Instant } from '../time/instant.ts'
import type { MeterRegistry } from '../usage/meter-registry.ts'
import { makeId, type IdPrefix } from '../id/ids.ts'

/** The control plane: what is kept in PostgreSQL, behind the ports of the nouns. */
export interface Control {
  readonly meters: MeterRegistry
  readonly customers: CustomerRegistry
  readonly plans: PlanCatalog
  readonly subscriptions: SubscriptionBook
  readonly testClocks: TestClocks
  readonly time: CustomerTime
}

export function createControl({ db }: Pick<Database, 'db'>, clock: Clock): Control {
  return {
    meters: createMeterRegistry(db),
    customers: createCustomerRegistry(db),
    plans: createPlanCatalog(db),
    subscriptions: createSubscriptionBook(db),
    testClocks: createTestClocks(db),
    time: createCustomerTime(db, clock),
  }
}

/** A new id of this moment. */
export function newId(prefix: IdPrefix, clock: Clock): string {
  return makeId(prefix, clock.now(), randomBytes(10))
}

export interface AdvanceDeps {
  readonly testClocks: Pick<TestClocks, 'advance'>
  /** Resolves when what was committed before is applied in this process. */
  readonly settle: () => Promise<void>
  /** Runs what has become due on the clock. */
  readonly runDue: (tenant: TenantId, testClock: TestClockId) => Promise<void>
}

/** Advances a test clock and answers when everything that was due by then has run. */
export function createAdvance({ testClocks, settle, runDue }: AdvanceDeps) {
  return async (tenant: TenantId, id: TestClockId, to: Instant): Promise<AdvanceOutcome> => {
    const outcome = await testClocks.advance(tenant, id, to)
    if (outcome.kind !== 'advanced') return outcome
    await settle()
    await runDue(tenant, id)
    await settle()
    return outcome
  }
}
