import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CalendarUnit, calendarInterval, calendarLabel, isTimeZone } from '../../src/time/calendar.ts'
import { contains, formatInstant, type Instant, instantOf, parseInstant } from '../../src/time/instant.ts'

const at = (text: string): Instant => {
  const instant = parseInstant(text)
  if (instant === null) throw new Error(`not an instant: ${text}`)
  return instant
}
const shown = (unit: CalendarUnit, text: string, zone: string): string => {
  const { start, end } = calendarInterval(unit, at(text), zone)
  return `${formatInstant(start)}/${formatInstant(end)} ${calendarLabel(unit, at(text), zone)}`
}

describe('calendar intervals', () => {
  it.each([
    ['month', '2023-11-15T12:00:00Z', 'UTC', '2023-11-01T00:00:00Z/2023-12-01T00:00:00Z 2023-11'],
    ['month', '2026-03-31T22:00:00Z', 'Europe/Berlin', '2026-03-31T22:00:00Z/2026-04-30T22:00:00Z 2026-04'],
    ['month', '2026-03-15T00:00:00Z', 'Europe/Berlin', '2026-02-28T23:00:00Z/2026-03-31T22:00:00Z 2026-03'],
    ['month', '2023-11-30T23:59:59.999Z', 'UTC', '2023-11-01T00:00:00Z/2023-12-01T00:00:00Z 2023-11'],
    ['day', '2026-03-29T12:00:00Z', 'Europe/Berlin', '2026-03-28T23:00:00Z/2026-03-29T22:00:00Z 2026-03-29'],
    ['day', '2026-10-25T12:00:00Z', 'Europe/Berlin', '2026-10-24T22:00:00Z/2026-10-25T23:00:00Z 2026-10-25'],
    [
      'hour',
      '2026-10-25T01:10:00Z',
      'Europe/Berlin',
      '2026-10-25T01:00:00Z/2026-10-25T02:00:00Z 2026-10-25T01:00:00Z',
    ],
    [
      'hour',
      '2026-06-01T10:50:00Z',
      'Asia/Kolkata',
      '2026-06-01T10:30:00Z/2026-06-01T11:30:00Z 2026-06-01T10:30:00Z',
    ],
    [
      'day',
      '2018-11-04T02:30:00Z',
      'America/Sao_Paulo',
      '2018-11-03T03:00:00Z/2018-11-04T03:00:00Z 2018-11-03',
    ],
    [
      'day',
      '2018-11-04T12:00:00Z',
      'America/Sao_Paulo',
      '2018-11-04T03:00:00Z/2018-11-05T02:00:00Z 2018-11-04',
    ],
  ] as const)('%s of %s in %s', (unit, text, zone, expected) => {
    expect(shown(unit, text, zone)).toBe(expected)
  })

  it('knows time zones', () => {
    expect(isTimeZone('Europe/Berlin')).toBe(true)
    expect(isTimeZone('Europe/Atlantis')).toBe(false)
  })

  it('windows partition time: an interval holds its instant, and its neighbour begins where it ends', () => {
    const zones = fc.constantFrom(
      'UTC',
      'Europe/Berlin',
      'America/New_York',
      'Australia/Lord_Howe',
      'Asia/Kathmandu',
      'America/Sao_Paulo',
      'Africa/Casablanca',
      'Pacific/Apia',
      'America/St_Johns',
    )
    const instants = fc.oneof(
      fc.integer({ min: Date.UTC(2005, 0), max: Date.UTC(2035, 0) }),
      // Around the change of Lord Howe's clocks by half an hour.
      fc.integer({ min: Date.UTC(2024, 3, 6, 12), max: Date.UTC(2024, 3, 6, 18) }),
    )
    fc.assert(
      fc.property(fc.constantFrom('hour', 'day', 'month'), instants, zones, (unit, ms, zone) => {
        const interval = calendarInterval(unit, instantOf(ms), zone)
        expect(contains(interval, instantOf(ms))).toBe(true)
        expect(calendarInterval(unit, interval.end, zone).start).toBe(interval.end)
        const last = instantOf(interval.end - 1)
        expect(calendarInterval(unit, last, zone)).toEqual(interval)
        expect(calendarLabel(unit, last, zone)).toBe(calendarLabel(unit, interval.start, zone))
      }),
      { numRuns: 400 },
    )
  })
})
