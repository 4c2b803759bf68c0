import type { CustomerKey, TenantId, TestClockId } from '../id/ids.ts'
import type { Page, PageRequest } from '../id/page.ts'
import type { Instant } from '../time/instant.ts'

/** A clock that stands still until it is advanced. Customers may live by one, to see in minutes what months bring. */
export interface TestClock {
  readonly tenant: TenantId
  readonly id: TestClockId
  readonly now: Instant
  readonly createdAt: Instant
}

export type AdvanceOutcome =
  | { readonly kind: 'advanced'; readonly clock: TestClock }
  | { readonly kind: 'unknown' }
  /** A clock never goes back: what was due has run. */
  | { readonly kind: 'backwards'; readonly clock: TestClock }

interface CreateTestClockOutcome {
  readonly kind: 'created' | 'exists'
  /** The one that is there now. */
  readonly clock: TestClock
}

export interface TestClocks {
  get(tenant: TenantId, id: TestClockId): Promise<TestClock | null>
  /** By id, which is by age. */
  list(tenant: TenantId, page: PageRequest): Promise<Page<TestClock>>
  /** An id that is taken stays what it is. */
  create(clock: TestClock): Promise<CreateTestClockOutcome>
  /** Advancing to the time that it shows is allowed: it lets what is due run again. */
  advance(tenant: TenantId, id: TestClockId, to: Instant): Promise<AdvanceOutcome>
}

/** What time it is for a customer: its test clock's, else the system's. */
export interface CustomerTime {
  nowOf(tenant: TenantId, customer: CustomerKey): Promise<Instant>
}
