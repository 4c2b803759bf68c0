import { Temporal } from 'temporal-polyfill'
import { formatInstant, type Instant, instantOf, type Interval } from './instant.ts'

export type CalendarUnit = 'hour' | 'day' | 'month'

const HOUR_MS = 3_600_000

/** Whether `zone` is an IANA time zone (or a fixed offset) that this runtime knows. */
export function isTimeZone(zone: string): boolean {
  try {
    zoned(0 as Instant, zone)
    return true
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}

/**
 * The calendar hour, day or month of a zone that holds `at`: `[start, end)`. Days and months begin at the first
 * instant that bears their date, so that they have 23 or 25 hours where clocks change, and partition time.
 * @throws RangeError when the zone is unknown
 */
export function calendarInterval(unit: CalendarUnit, at: Instant, zone: string): Interval {
  const local = zoned(at, zone)
  switch (unit) {
    case 'hour':
      return localHour(at, local)
    case 'day': {
      const date = local.toPlainDate()
      return { start: startOf(date, zone), end: startOf(date.add({ days: 1 }), zone) }
    }
    case 'month': {
      const first = local.toPlainDate().with({ day: 1 })
      return { start: startOf(first, zone), end: startOf(first.add({ months: 1 }), zone) }
    }
  }
}

/**
 * The name of that interval: `2023-11` for a month, `2023-11-05` for a day, and its start in UTC for an hour (a
 * local hour may come twice). Months and days keep their name when the zone of a customer is corrected.
 */
export function calendarLabel(unit: CalendarUnit, at: Instant, zone: string): string {
  const date = zoned(at, zone).toPlainDate().toString()
  switch (unit) {
    case 'hour':
      return formatInstant(calendarInterval('hour', at, zone).start)
    case 'day':
      return date
    case 'month':
      return date.slice(0, -3)
  }
}

function zoned(at: Instant, zone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone)
}

function startOf(date: Temporal.PlainDate, zone: string): Instant {
  return instantOf(date.toZonedDateTime(zone).epochMilliseconds)
}

/** Hours are cut where the local clock shows :00, and where it jumps by less than an hour (Lord Howe: 30 minutes). */
function localHour(at: Instant, local: Temporal.ZonedDateTime): Interval {
  const intoHour = ((local.minute * 60 + local.second) * 1000 + local.millisecond) % HOUR_MS
  let start = at - intoHour
  let end = start + HOUR_MS
  const before = local.add({ milliseconds: 1 }).getTimeZoneTransition('previous')
  if (before !== null && breaksHours(before)) start = Math.max(start, before.epochMilliseconds)
  const after = local.getTimeZoneTransition('next')
  if (after !== null && breaksHours(after)) end = Math.min(end, after.epochMilliseconds)
  return { start: instantOf(start), end: instantOf(end) }
}

function breaksHours(transition: Temporal.ZonedDateTime): boolean {
  const shiftNs = transition.offsetNanoseconds - transition.subtract({ milliseconds: 1 }).offsetNanoseconds
  return (shiftNs / 1e6) % HOUR_MS !== 0
}
