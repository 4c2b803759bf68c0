import { Temporal } from 'temporal-polyfill'
import type { Instant, Interval } from './instant.ts'
import { localDate, startOfDay } from './local-day.ts'

export const BILLING_INTERVALS = ['day', 'week', 'month', 'quarter', 'year'] as const
export type BillingInterval = (typeof BILLING_INTERVALS)[number]

/** From what every boundary of a subscription's billing periods follows. Boundaries are never chained. */
export interface BillingSchedule {
  readonly startsAt: Instant
  readonly interval: BillingInterval
  /** Day of the month 1..31, clamped to its length; ISO weekday 1..7 for `week`; 1 for `day`. */
  readonly anchorDay: number
  /** IANA zone whose midnights are the boundaries. */
  readonly timezone: string
}

/** A whole anchored period. Number 0 holds `startsAt`, so it may begin before it; the index goes on from there. */
export interface BillingPeriod extends Interval {
  readonly index: number
}

const MONTHS = { month: 1, quarter: 3, year: 12 } as const

/** The greatest anchor day that the interval knows. */
export function anchorDayMax(interval: BillingInterval): number {
  switch (interval) {
    case 'day':
      return 1
    case 'week':
      return 7
    case 'month':
    case 'quarter':
    case 'year':
      return 31
  }
}

/** The anchor of a subscription that names none: the local day on which it starts. */
export function defaultAnchorDay(startsAt: Instant, interval: BillingInterval, timezone: string): number {
  const date = localDate(startsAt, timezone)
  switch (interval) {
    case 'day':
      return 1
    case 'week':
      return date.dayOfWeek
    case 'month':
    case 'quarter':
    case 'year':
      return date.day
  }
}

/** The whole period that holds `at`. Its index is negative before the subscription's first period. */
export function periodAt(schedule: BillingSchedule, at: Instant): BillingPeriod {
  const date = localDate(at, schedule.timezone)
  const origin = originDate(schedule)
  let index = estimatedIndex(schedule.interval, origin, date)
  // The estimate counts whole calendar units; clamping to short months moves a boundary by less than one of them.
  while (Temporal.PlainDate.compare(boundaryDate(schedule, origin, index), date) > 0) index--
  while (Temporal.PlainDate.compare(boundaryDate(schedule, origin, index + 1), date) <= 0) index++
  return periodBetween(schedule, origin, index)
}

/** The whole period with that index. */
export function periodOfIndex(schedule: BillingSchedule, index: number): BillingPeriod {
  return periodBetween(schedule, originDate(schedule), index)
}

function periodBetween(schedule: BillingSchedule, origin: Temporal.PlainDate, index: number): BillingPeriod {
  return {
    index,
    start: startOfDay(boundaryDate(schedule, origin, index), schedule.timezone),
    end: startOfDay(boundaryDate(schedule, origin, index + 1), schedule.timezone),
  }
}

/** A date in the calendar unit from which period 0 begins: a day, or the first of a month. */
function originDate(schedule: BillingSchedule): Temporal.PlainDate {
  const start = localDate(schedule.startsAt, schedule.timezone)
  const { interval, anchorDay } = schedule
  if (!Number.isInteger(anchorDay) || anchorDay < 1 || anchorDay > anchorDayMax(interval)) {
    throw new RangeError(
      `the anchor day of a ${interval} is 1 to ${anchorDayMax(interval)}, not ${anchorDay}`,
    )
  }
  switch (interval) {
    case 'day':
      return start
    case 'week':
      return start.subtract({ days: (start.dayOfWeek - anchorDay + 7) % 7 })
    case 'month':
    case 'quarter':
    case 'year': {
      const first = start.with({ day: 1 })
      const anchored = first.with({ day: Math.min(anchorDay, first.daysInMonth) })
      return Temporal.PlainDate.compare(anchored, start) <= 0
        ? first
        : first.subtract({ months: MONTHS[interval] })
    }
  }
}

function boundaryDate(
  { interval, anchorDay }: BillingSchedule,
  origin: Temporal.PlainDate,
  index: number,
): Temporal.PlainDate {
  switch (interval) {
    case 'day':
      return origin.add({ days: index })
    case 'week':
      return origin.add({ weeks: index })
    case 'month':
    case 'quarter':
    case 'year': {
      const first = origin.add({ months: index * MONTHS[interval] })
      return first.with({ day: Math.min(anchorDay, first.daysInMonth) })
    }
  }
}

function estimatedIndex(
  interval: BillingInterval,
  origin: Temporal.PlainDate,
  date: Temporal.PlainDate,
): number {
  switch (interval) {
    case 'day':
      return origin.until(date, { largestUnit: 'day' }).days
    case 'week':
      return Math.floor(origin.until(date, { largestUnit: 'day' }).days / 7)
    case 'month':
    case 'quarter':
    case 'year': {
      const months = (date.year - origin.year) * 12 + date.month - origin.month
      return Math.floor(months / MONTHS[interval])
    }
  }
}
