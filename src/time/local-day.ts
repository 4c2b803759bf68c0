import { Temporal } from 'temporal-polyfill'
import { type Instant, instantOf, type Interval } from './instant.ts'

/** The calendar day of the zone, as `2024-02-29`. */
export function localDayText(at: Instant, timezone: string): string {
  return localDate(at, timezone).toString()
}

/** Calendar days of the zone from the day of `start` to the day of `end`, the day of `end` not counted. */
export function localDaysIn(interval: Interval, timezone: string): number {
  return localDate(interval.start, timezone).until(localDate(interval.end, timezone), { largestUnit: 'day' })
    .days
}

/** The end of the day of the zone that comes `days` after the day of `at`: the first instant that is no longer in it. */
export function endOfLocalDay(at: Instant, days: number, timezone: string): Instant {
  return startOfDay(localDate(at, timezone).add({ days: days + 1 }), timezone)
}

export function localDate(at: Instant, timezone: string): Temporal.PlainDate {
  return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timezone).toPlainDate()
}

/** The first instant that bears the date; where clocks skip midnight, the moment they jump to. */
export function startOfDay(date: Temporal.PlainDate, timezone: string): Instant {
  return instantOf(date.toZonedDateTime(timezone).epochMilliseconds)
}
