import { type Instant, parseInstant } from '../time/instant.ts'
import { type JsonTape, PLAIN_TEXT } from './json-tape.ts'

const ZERO = 48
const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]

/**
 * The instant of the text at `at` on the tape: the same as `parseInstant`, with a quick way for the form that nearly every client sends:
 * `2026-03-01T12:00:00Z` and `2026-03-01T12:00:00.123Z`. Null when it is not RFC 3339.
 */
export function parseEventTime(tape: JsonTape, at: number): Instant | null {
  const { words, bytes } = tape
  const start = words[at + 1] as number
  const length = (words[at + 2] as number) - start
  if (words[at] === PLAIN_TEXT && (length === 20 || length === 24) && bytes[start + length - 1] === 90) {
    const year = two(bytes, start) * 100 + two(bytes, start + 2)
    const month = two(bytes, start + 5)
    const day = two(bytes, start + 8)
    const hour = two(bytes, start + 11)
    const minute = two(bytes, start + 14)
    const second = two(bytes, start + 17)
    let millis = 0
    let plain =
      year >= 1970 && // a negative part makes this, or a comparison below, false
      month >= 1 &&
      month <= 12 &&
      day >= 1 &&
      day <= 28 && // the days that every month has; the rest goes the careful way
      hour >= 0 &&
      hour <= 23 &&
      minute >= 0 &&
      minute <= 59 &&
      second >= 0 &&
      second <= 59 &&
      bytes[start + 4] === 45 &&
      bytes[start + 7] === 45 &&
      bytes[start + 10] === 84 &&
      bytes[start + 13] === 58 &&
      bytes[start + 16] === 58
    if (length === 24) {
      const tenths = (bytes[start + 20] as number) - ZERO
      const hundredths = two(bytes, start + 21)
      plain &&= bytes[start + 19] === 46 && tenths >= 0 && tenths <= 9 && hundredths >= 0
      millis = tenths * 100 + hundredths
    }
    if (plain) {
      const leapDays =
        Math.floor((year - 1969) / 4) - Math.floor((year - 1901) / 100) + Math.floor((year - 1601) / 400)
      const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
      const dayOfYear = (DAYS_BEFORE_MONTH[month - 1] as number) + (leap && month > 2 ? 1 : 0) + day - 1
      const days = (year - 1970) * 365 + leapDays + dayOfYear
      return (days * 86_400_000 + hour * 3_600_000 + minute * 60_000 + second * 1000 + millis) as Instant
    }
  }
  return parseInstant(tape.text(at))
}

/** Two digits as a number; far below zero when one of them is none. */
function two(bytes: Uint8Array, at: number): number {
  const tens = (bytes[at] as number) - ZERO
  const units = (bytes[at + 1] as number) - ZERO
  return tens >= 0 && tens <= 9 && units >= 0 && units <= 9 ? tens * 10 + units : -10_000
}
