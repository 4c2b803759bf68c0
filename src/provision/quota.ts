import type { MeterKey, QuotaKey, TenantId } from '../id/ids.ts'
import { calendarInterval, calendarLabel } from '../time/calendar.ts'
import { type Instant, instantOf, type Interval } from '../time/instant.ts'

export const QUOTA_PERIODS = ['hour', 'day', 'month', 'billingPeriod', 'prepaid'] as const
export type QuotaPeriod = (typeof QUOTA_PERIODS)[number]

export const RUNG_ACTIONS = ['notify', 'grace', 'throttle', 'overage', 'block', 'suspend', 'revoke'] as const
type RungAction = (typeof RUNG_ACTIONS)[number]

/** One step of a ladder: from `at` times the limit on, `action`. Rungs are ordered by `at`. */
export type Rung = {
  /** A share of the limit, as decimal text: `0.8`. */
  readonly at: string
} & (
  | { readonly action: Exclude<RungAction, 'grace' | 'throttle'> }
  /** Open for so long after the rung was reached; then the next rung is in force, whatever its `at`. */
  | { readonly action: 'grace'; readonly graceSeconds: number }
  | { readonly action: 'throttle'; readonly requestsPerSecond: number }
)

/** A limit on a meter (observed) or on units that are asked for first (leased), per holder and period. */
export interface Quota {
  readonly tenant: TenantId
  readonly key: QuotaKey
  /** What an observed quota measures; a leased quota may have none. */
  readonly meter: MeterKey | null
  /** What the limit counts, in words: `tokens`. */
  readonly unit: string
  /** Decimal text, 0 or more; null is unlimited. */
  readonly limit: string | null
  readonly period: QuotaPeriod
  readonly mode: 'leased' | 'observed'
  readonly ladder: readonly Rung[]
  readonly onUnavailable: 'closed' | 'debt' | 'open'
  /** 1, 2, …: every change makes a new one. */
  readonly version: number
}

/** One period of one holder: the ladder starts afresh in each. */
export interface Epoch {
  /** `2023-11`, `2023-11-05`, …: the name of the period. */
  readonly label: string
  readonly interval: Interval
  /** When the used quantity returns to zero; null: never. */
  readonly resetAt: Instant | null
}

const FOR_EVER: Interval = { start: instantOf(0), end: instantOf(Date.UTC(9999, 0)) }

/**
 * The epoch that holds `now`, in the holder's own zone.
 * @param billingPeriod the holder's billing period at `now`, for quotas that follow it; without one the calendar
 *   month stands in, so that a quota without a subscription still resets
 */
export function epochAt(
  period: QuotaPeriod,
  now: Instant,
  zone: string,
  billingPeriod: Interval | null,
): Epoch {
  switch (period) {
    case 'hour':
    case 'day':
    case 'month': {
      const interval = calendarInterval(period, now, zone)
      return { label: calendarLabel(period, now, zone), interval, resetAt: interval.end }
    }
    case 'billingPeriod': {
      if (billingPeriod === null) return epochAt('month', now, zone, null)
      // Named by the date it begins on, which a correction of the zone's offset does not move.
      const label = `from ${calendarLabel('day', billingPeriod.start, zone)}`
      return { label, interval: billingPeriod, resetAt: billingPeriod.end }
    }
    case 'prepaid':
      return { label: 'prepaid', interval: FOR_EVER, resetAt: null }
  }
}
