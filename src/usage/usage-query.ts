import type { CustomerKey, SubjectId, TenantId } from '../id/ids.ts'
import type { Instant, Interval } from '../time/instant.ts'
import type { Coordinate, Cut } from './coordinate.ts'
import type { Meter } from './meter.ts'

export const USAGE_WINDOWS = ['hour', 'day', 'week', 'month', 'none'] as const
export type UsageWindow = (typeof USAGE_WINDOWS)[number]

/** A span in which a subject's usage is a customer's. Spans of one subject do not overlap; null is open. */
export interface SubjectOwner {
  readonly subject: SubjectId
  readonly customer: CustomerKey
  readonly from: Instant | null
  readonly until: Instant | null
}

/** A question about metered usage. Subjects: null = all of the tenant. */
export interface UsageRequest {
  readonly tenant: TenantId
  readonly meter: Meter
  readonly interval: Interval
  readonly window: UsageWindow
  /** IANA zone in which windows are cut. */
  readonly timezone: string
  readonly subjects: readonly SubjectId[] | null
  /** Only usage within these spans; absent: whoever's it is. */
  readonly owners?: readonly SubjectOwner[]
  /** One row per customer of `owners`. */
  readonly byCustomer?: boolean
  /** One row per subject. */
  readonly bySubject: boolean
  /** Names of the meter's dimensions to group by. */
  readonly groupBy: readonly string[]
  /** Dimension → values. */
  readonly filters: Readonly<Record<string, readonly string[]>>
}

/** What canonical events amount to. */
export interface MeteredQuantity {
  /** Exact decimal text; null where the aggregation of no events has no value (min, max, avg, latest, percentile). */
  readonly value: string | null
  /** Canonical events of the meter: the usable and the unusable ones. */
  readonly events: number
  /** Events whose value is missing or no decimal (at most 29 digits before and 9 behind the point); not in `value`. */
  readonly unusable: number
}

/** One window and group. Windows are cut off at the asked interval: `interval` is exactly what was counted. */
export interface UsageRow extends MeteredQuantity {
  readonly interval: Interval
  readonly customer?: CustomerKey
  readonly subject?: SubjectId
  /** Every name of `groupBy`; an event without the property stands under the empty text. */
  readonly group: Readonly<Record<string, string>>
}

export interface UsageAnswer {
  /** Ordered by window, customer, subject, group. Windows without events have no row. */
  readonly rows: readonly UsageRow[]
  /** Everything before this cut is in the answer, nothing behind it. */
  readonly asOf: Cut
  readonly freshnessSeconds: number
}

/** What an invoice counts: canonical events of the interval at coordinates before the cut, voided ones left out. */
export interface UsageAtCutRequest {
  readonly tenant: TenantId
  readonly meter: Meter
  readonly subjects: readonly SubjectId[] | null
  readonly interval: Interval
  /** Names of the meter's dimensions to group by. */
  readonly groupBy: readonly string[]
  readonly cut: Cut
}

/** Without `groupBy` there is exactly one row, also of no events. */
export interface UsageAtCutRow extends MeteredQuantity {
  readonly group: Readonly<Record<string, string>>
}

export interface EventsAtCutRequest extends UsageAtCutRequest {
  /** Dimension → value; only events of this group. */
  readonly group: Readonly<Record<string, string>>
  readonly limit: number
  /** The `next` of the page before. */
  readonly after: string | null
}

/** An event that counts, as it stands in the usage store. */
export interface CanonicalEvent {
  readonly source: string
  readonly id: string
  readonly type: string
  readonly subject: SubjectId
  readonly time: Instant
  readonly ingestedAt: Instant
  readonly properties: Readonly<Record<string, string>>
  readonly coordinate: Coordinate
  /** The meter's value of this event as its text stands; null when it is missing or the meter counts. */
  readonly value: string | null
}

export interface EventsPage {
  /** Ordered by time and coordinate. */
  readonly events: readonly CanonicalEvent[]
  readonly next: string | null
}

/** What became of one copy of an event. */
type CopyStanding =
  | { readonly kind: 'canonical' }
  | { readonly kind: 'duplicate'; readonly of: Coordinate }
  /** Same identity, other time, subject, type or properties: the first copy counts. */
  | { readonly kind: 'conflict'; readonly with: Coordinate }

export interface TracedCopy {
  readonly coordinate: Coordinate
  readonly type: string
  readonly subject: SubjectId
  readonly time: Instant
  readonly ingestedAt: Instant
  readonly properties: Readonly<Record<string, string>>
  readonly standing: CopyStanding
}

/** Where an event is. `copies` is empty when no copy has been received, or none that is countable yet. */
export interface EventTrace {
  readonly source: string
  readonly id: string
  /** In log order. Copies that the store has already united with the canonical one do not show. */
  readonly copies: readonly TracedCopy[]
  /** Set when a later event took it back. */
  readonly voidedBy: { readonly source: string; readonly id: string; readonly coordinate: Coordinate } | null
  readonly asOf: Cut
}
