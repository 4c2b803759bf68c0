import type { Brand } from '../id/brand.ts'

/** A point in time: whole milliseconds since 1970-01-01T00:00:00Z. Never a wall-clock reading of a zone. */
export type Instant = Brand<number, 'Instant'>

/** Half-open: `start` belongs to it, `end` does not. */
export interface Interval {
  readonly start: Instant
  readonly end: Instant
}

const RFC3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d{2}):(\d{2}))$/
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Brands whole milliseconds since the epoch. @throws RangeError when not a whole, safe number */
export function instantOf(epochMs: number): Instant {
  if (!Number.isSafeInteger(epochMs)) throw new RangeError(`not a whole number of milliseconds: ${epochMs}`)
  return epochMs as Instant
}

/**
 * Reads RFC 3339 text (`2026-02-28T23:59:59.123456Z`, any offset, up to nanoseconds; digits below the
 * millisecond are cut off, so an event never moves into a later window). Null when it is not such text.
 */
export function parseInstant(text: string): Instant | null {
  const m = RFC3339.exec(text)
  if (m === null) return null
  const [year, month, day, hour, minute, second] = [m[1], m[2], m[3], m[4], m[5], m[6]].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const daysInMonth = month === 2 && leap ? 29 : DAYS[month - 1]
  if (daysInMonth === undefined || day < 1 || day > daysInMonth) return null
  if (hour > 23 || minute > 59 || second > 60) return null
  const millis = Number((m[7] ?? '').padEnd(3, '0').slice(0, 3))
  let offsetMinutes = 0
  if (m[9] !== undefined) {
    const offsetHours = Number(m[10])
    const offsetMins = Number(m[11])
    if (offsetHours > 23 || offsetMins > 59) return null
    offsetMinutes = (offsetHours * 60 + offsetMins) * (m[9] === '-' ? -1 : 1)
  }
  // A leap second is the last millisecond of its minute: the next second would move it to another day.
  const at = new Date(0)
  at.setUTCFullYear(year, month - 1, day)
  at.setUTCHours(hour, minute, Math.min(second, 59), second === 60 ? 999 : millis)
  return (at.getTime() - offsetMinutes * 60_000) as Instant
}

/** RFC 3339 in UTC with milliseconds only where there are any: `2026-03-01T00:00:00Z`. */
export function formatInstant(at: Instant): string {
  const text = new Date(at).toISOString()
  return text.endsWith('.000Z') ? text.slice(0, -5) + 'Z' : text
}

export function contains(interval: Interval, at: Instant): boolean {
  return at >= interval.start && at < interval.end
}
