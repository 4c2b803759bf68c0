import { shareOf } from '../money/allocate.ts'
import type { Decimal } from '../money/decimal.ts'
import { type Rational, rational } from '../money/rational.ts'
import { localDaysIn } from '../time/local-day.ts'
import { calendarInterval } from '../time/calendar.ts'
import type { Instant, Interval } from '../time/instant.ts'

/**
 * How the share of a period is counted.
 * - `actualDays`: days of the zone's calendar over the days of the period. The default.
 * - `actualOver30`: the same days over 30.
 * - `fixed30`: every month counts as 30 days, over 30.
 * - `second`: time that passed over the time of the period.
 * - `none`: any service is charged as the whole period.
 */
export type ProrationConvention = 'actualDays' | 'actualOver30' | 'fixed30' | 'second' | 'none'

const WHOLE = rational(1n, 1n)

/**
 * The share of a period that a service takes up. Intervals are half-open: the day of a change belongs to what comes after
 * it. A period without length cannot be shared: what is charged for it is charged whole.
 */
export function servedShare(
  service: Interval,
  period: Interval,
  convention: ProrationConvention,
  timezone: string,
): Rational {
  if (convention === 'none' || period.start >= period.end) return WHOLE
  const days = BigInt(servedDays(service, convention, timezone))
  switch (convention) {
    case 'actualDays':
      return rational(days, BigInt(localDaysIn(period, timezone)))
    case 'actualOver30':
    case 'fixed30':
      return rational(days, 30n)
    case 'second':
      return rational(BigInt(service.end - service.start), BigInt(period.end - period.start))
  }
}

/** The days of a service by the convention; whole days of the zone's calendar. */
export function servedDays(service: Interval, convention: ProrationConvention, timezone: string): number {
  const actual = localDaysIn(service, timezone)
  return convention === 'fixed30' ? actual - daysBeyond30(service, timezone) : actual
}

/** By how much the months whose end the service crosses are longer than 30 days. */
function daysBeyond30(service: Interval, timezone: string): number {
  let beyond = 0
  let month = calendarInterval('month', service.start, timezone)
  while (month.end <= service.end) {
    beyond += localDaysIn(month, timezone) - 30
    month = calendarInterval('month', month.end, timezone)
  }
  return beyond
}

/** What a change of price within a period comes to, as two lines that can both be seen. */
export interface ChangeWithinPeriod {
  /** 0 or less: what was charged for the unused time of the old price. */
  readonly credit: Decimal
  /** 0 or more: the new price for the rest of the period. */
  readonly charge: Decimal
}

/**
 * Credits the unused part of what was charged and charges the new price for it. The credit is what was charged less the
 * rounded part that is kept, so that the two parts of the old price add up to it.
 * @param kept share of the period that the old price was used for
 */
export function changeWithinPeriod(
  charged: Decimal,
  newPrice: Decimal,
  kept: Rational,
  digits: number,
): ChangeWithinPeriod {
  const rest = rational(kept.denominator - kept.numerator, kept.denominator)
  const whole = shareOf(charged, WHOLE, digits)
  const keptPart = shareOf(charged, kept, digits)
  return {
    credit: { coefficient: keptPart.coefficient - whole.coefficient, scale: digits },
    charge: shareOf(newPrice, rest, digits),
  }
}

/** The instant that parts the kept from the credited share. Outside the period it is moved to the nearer end. */
export function keptUntil(period: Interval, at: Instant): Interval {
  const end = at < period.start ? period.start : at > period.end ? period.end : at
  return { start: period.start, end }
}
