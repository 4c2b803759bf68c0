import { calendarInterval, calendarLabel } from '../time/calendar.ts'
import { type Instant, instantOf, type Interval } from '../time/instant.ts'
import type { UsageWindow } from '../usage/usage-query.ts'

/** A year of hours and a leap day. */
export const WINDOWS_MAX = 8784

/**
 * Cuts an interval at the hours, days, ISO weeks or months of a zone. The first and the last window are cut off at
 * the interval's ends, so windows partition it.
 * @throws RangeError when the zone is unknown or there are more than `WINDOWS_MAX` windows
 */
export function windowsOf(interval: Interval, window: UsageWindow, zone: string): readonly Interval[] {
  if (interval.end <= interval.start) return []
  const windows: Interval[] = []
  for (let at = interval.start; at < interval.end;) {
    const end = Math.min(windowEnd(at, interval, window, zone), interval.end)
    windows.push({ start: at, end: instantOf(end) })
    if (windows.length > WINDOWS_MAX) throw new RangeError(`more than ${WINDOWS_MAX} windows`)
    at = instantOf(end)
  }
  return windows
}

function windowEnd(at: Instant, interval: Interval, window: UsageWindow, zone: string): Instant {
  switch (window) {
    case 'none':
      return interval.end
    case 'hour':
    case 'day':
    case 'month':
      return calendarInterval(window, at, zone).end
    case 'week':
      return weekEnd(at, zone)
  }
}

function weekEnd(at: Instant, zone: string): Instant {
  const [year, month, day] = calendarLabel('day', at, zone).split('-').map(Number)
  const weekday = new Date(Date.UTC(year ?? 0, (month ?? 1) - 1, day)).getUTCDay() // Sunday is 0
  let end = calendarInterval('day', at, zone).end
  for (let left = (7 - weekday) % 7; left > 0; left--) end = calendarInterval('day', end, zone).end
  return end
}
