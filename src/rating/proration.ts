import { shareOf } from '../money/allocate.ts'
import type { ProrationConvention } from '../catalog/price.ts'
import { type Decimal, negate, subtract } from '../money/decimal.ts'
import { type Rational, rational } from '../money/rational.ts'
import { localDate, localDaysIn } from '../time/local-day.ts'
import { calendarInterval } from '../time/calendar.ts'
import type { Instant, Interval } from '../time/instant.ts'

const WHOLE = rational(1n, 1n)

/** What a service takes up of its period, in whole days or milliseconds. */
export interface ServedUnits {
  readonly billed: number
  readonly whole: number
  readonly unit: 'day' | 'millisecond'
}

/**
 * Counts a service and its period by a convention. Intervals are half-open: the day of a change belongs to what comes after
 * it. Services that follow each other in a period count up to the whole, so that shares of it may be cumulated. With `none`
 * any service is the whole.
 */
export function servedUnits(
  service: Interval,
  period: Interval,
  convention: ProrationConvention,
  timezone: string,
): ServedUnits {
  switch (convention) {
    case 'none':
      return { billed: 1, whole: 1, unit: 'day' }
    case 'second':
      return {
        billed: service.end - service.start,
        whole: period.end - period.start,
        unit: 'millisecond',
      }
    case 'actualDays':
    case 'fixed30':
    case 'thirty360':
      return {
        billed: servedDays(service, convention, timezone),
        whole: servedDays(period, convention, timezone),
        unit: 'day',
      }
  }
}

/** The share of a period that a service takes up. A period in which nothing can be counted is charged whole. */
export function servedShare(
  service: Interval,
  period: Interval,
  convention: ProrationConvention,
  timezone: string,
): Rational {
  if (service.start <= period.start && service.end >= period.end) return WHOLE
  const { billed, whole } = servedUnits(service, period, convention, timezone)
  // From a 30th to a 31st there is no day in 30E/360, so there is nothing to share.
  return whole === 0 ? WHOLE : rational(BigInt(billed), BigInt(whole))
}

/** The days of a service by the convention; whole days of the zone's calendar. */
export function servedDays(service: Interval, convention: ProrationConvention, timezone: string): number {
  switch (convention) {
    case 'fixed30':
      return localDaysIn(service, timezone) - daysBeyond30(service, timezone)
    case 'thirty360':
      return thirty360Days(service, timezone)
    case 'actualDays':
    case 'second':
    case 'none':
      return localDaysIn(service, timezone)
  }
}

/** 30E/360: months of 30 days each, the 31st counted as the 30th. */
function thirty360Days({ start, end }: Interval, timezone: string): number {
  const [from, to] = [localDate(start, timezone), localDate(end, timezone)]
  const months = (to.year - from.year) * 12 + to.month - from.month
  return months * 30 + Math.min(to.day, 30) - Math.min(from.day, 30)
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
 * Credits the unused part of what was charged and charges the new price for it. Both are the rest of a rounded whole beside
 * its rounded kept part, so that the two parts of a price add up to it, and a change and its undoing at the same instant come
 * to nothing.
 * @param kept share of the period that the old price was used for
 */
export function changeWithinPeriod(
  charged: Decimal,
  newPrice: Decimal,
  kept: Rational,
  digits: number,
): ChangeWithinPeriod {
  return {
    credit: negate(restBeside(charged, kept, digits)),
    charge: restBeside(newPrice, kept, digits),
  }
}

function restBeside(whole: Decimal, kept: Rational, digits: number): Decimal {
  return subtract(shareOf(whole, WHOLE, digits), shareOf(whole, kept, digits))
}

/** The instant that parts the kept from the credited share. Outside the period it is moved to the nearer end. */
export function keptUntil(period: Interval, at: Instant): Interval {
  const end = at < period.start ? period.start : at > period.end ? period.end : at
  return { start: period.start, end }
}
