import type { CustomerKey, SubjectId, TenantId, TestClockId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import type { UsageAtCut, UsageAtCutRow } from './ports.ts'

/** Which customers a bill run is about: all, or those that live by one test clock. */
export interface BillScope {
  readonly tenant: TenantId
  readonly testClock: TestClockId
}

export interface StaleBilling {
  readonly tenant: TenantId
  readonly customer: CustomerKey
  /** Of the entry as it was read. */
  readonly revision: number
  /** Closes that had nothing to bill. */
  readonly passed: readonly Instant[]
}

export interface DueBilling {
  readonly tenant: TenantId
  readonly customer: CustomerKey
  readonly periodEnd: Instant
  /** The customer's present: its test clock's, else the system's. */
  readonly now: Instant
}

/** When each customer is billed next. Entries become stale with the change that makes them so. */
export interface BillSchedule {
  stale(scope: BillScope | null, limit: number): Promise<readonly StaleBilling[]>
  /** Keeps the next close of an entry, unless the entry has changed since it was read. */
  reschedule(entries: readonly (StaleBilling & { readonly nextClose: Instant | null })[]): Promise<void>
  /** Entries whose next close is at least `graceMs` ago, by the customers' clocks; the oldest first. */
  due(request: {
    readonly systemNow: Instant
    readonly graceMs: number
    readonly scope: BillScope | null
    /** Those that are held and whose time to try again has not come. */
    readonly includeHeld: boolean
    readonly limit: number
  }): Promise<readonly DueBilling[]>
  /** The close had nothing to bill: it is done. */
  pass(entry: DueBilling): Promise<void>
  /** The close failed: it is tried again at `retryAt` by the system's clock, or when something changes. */
  hold(
    entry: DueBilling,
    reason: { readonly kind: string; readonly detail: string },
    since: Instant,
    retryAt: Instant,
  ): Promise<void>
  /** What is held and why, by customer. */
  held(tenant: TenantId, limit: number): Promise<readonly HeldBilling[]>
  /**
   * Runs the work for those entries that nobody else works on now. A process that dies lets go of its entries at once.
   * Answers the entries that were somebody else's.
   */
  exclusively(
    entries: readonly DueBilling[],
    work: (own: readonly DueBilling[]) => Promise<void>,
  ): Promise<readonly DueBilling[]>
  /** Resolves when nobody works on the customer any more. */
  whenFree(entry: Pick<DueBilling, 'tenant' | 'customer'>): Promise<void>
}

export interface HeldBilling {
  readonly customer: CustomerKey
  readonly periodEnd: Instant
  readonly kind: string
  readonly detail: string
  readonly since: Instant
  readonly retryAt: Instant
}

/** Usage of many subjects in one question. */
export interface UsageBySubject {
  usageBySubject(question: UsageAtCut): Promise<readonly (UsageAtCutRow & { readonly subject: SubjectId })[]>
}

export interface BillRunMetrics {
  closed(outcome: 'finalized' | 'credited' | 'existing' | 'empty' | 'held', count: number): void
  batch(customers: number, seconds: number): void
  /** How late the oldest close of a batch was finalized, after its grace. */
  late(seconds: number): void
}
