import { describe, expect, it } from 'vitest'
import { contains, formatInstant, instantOf, parseInstant } from '../../src/time/instant.ts'

const round = (text: string): string | null => {
  const at = parseInstant(text)
  return at === null ? null : formatInstant(at)
}

describe('an instant', () => {
  it('is read with any offset and down to nanoseconds, which are cut off', () => {
    expect(round('2026-02-28T23:59:59Z')).toBe('2026-02-28T23:59:59Z')
    expect(round('2026-02-28T23:59:59.123999999Z')).toBe('2026-02-28T23:59:59.123Z')
    expect(round('2026-03-01T01:00:00+02:00')).toBe('2026-02-28T23:00:00Z')
    expect(round('2026-02-28t19:30:00-04:30')).toBe('2026-03-01T00:00:00Z')
    expect(round('2026-02-28T23:59:59.1z')).toBe('2026-02-28T23:59:59.100Z')
    expect(round('0001-01-01T00:00:00Z')).toBe('0001-01-01T00:00:00Z')
  })

  it('keeps a leap second in its minute', () => {
    expect(round('2016-12-31T23:59:60Z')).toBe('2016-12-31T23:59:59.999Z')
  })

  it.each([
    ['', 'nothing'],
    ['2026-02-29T00:00:00Z', 'a day that the month does not have'],
    ['1900-02-29T00:00:00Z', 'a leap day of a century'],
    ['2026-13-01T00:00:00Z', 'a month that is none'],
    ['2026-00-01T00:00:00Z', 'month 0'],
    ['2026-01-00T00:00:00Z', 'day 0'],
    ['2026-01-01T24:00:00Z', 'hour 24'],
    ['2026-01-01T00:60:00Z', 'minute 60'],
    ['2026-01-01T00:00:61Z', 'second 61'],
    ['2026-01-01T00:00:00', 'no offset'],
    ['2026-01-01T00:00:00+24:00', 'an offset of a day'],
    ['2026-01-01T00:00:00+01:60', 'an offset of 60 minutes'],
    ['2026-01-01', 'a date'],
    ['2026-01-01T00:00:00.Z', 'a point without digits'],
    ['2026-01-01T00:00:00Z ', 'a blank'],
  ])('refuses %j: %s', (text) => {
    expect(parseInstant(text)).toBeNull()
  })

  it('reads leap days of leap years', () => {
    expect(round('2024-02-29T00:00:00Z')).not.toBeNull()
    expect(round('2000-02-29T00:00:00Z')).not.toBeNull()
  })

  it('is a whole number of milliseconds', () => {
    expect(() => instantOf(0.5)).toThrow(RangeError)
    expect(() => instantOf(2 ** 53)).toThrow(RangeError)
  })
})

describe('an interval', () => {
  it('holds its start and not its end', () => {
    const interval = { start: instantOf(10), end: instantOf(20) }
    expect([9, 10, 19, 20].map((ms) => contains(interval, instantOf(ms)))).toEqual([false, true, true, false])
  })
})
