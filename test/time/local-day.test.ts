import { describe, expect, it } from 'vitest'
import { type Instant, instantOf } from '../../src/time/instant.ts'
import { endOfLocalDay, localDaysIn, localDayText, startOfDay, localDate } from '../../src/time/local-day.ts'
import { isInDaySpan, parseMinuteOfDay } from '../../src/time/time-of-day.ts'

const at = (text: string): Instant => instantOf(Date.parse(text))

describe('a local day', () => {
  it('is the calendar’s of the zone', () => {
    expect(localDayText(at('2026-01-01T02:00:00Z'), 'America/New_York')).toBe('2025-12-31')
    expect(localDayText(at('2026-01-01T02:00:00Z'), 'Asia/Tokyo')).toBe('2026-01-01')
  })

  it('counts days of 23 and 25 hours as one', () => {
    const days = (start: string, end: string): number =>
      localDaysIn({ start: at(start), end: at(end) }, 'America/New_York')
    expect(days('2026-03-08T05:00:00Z', '2026-03-09T04:00:00Z')).toBe(1)
    expect(days('2026-11-01T04:00:00Z', '2026-11-02T05:00:00Z')).toBe(1)
    expect(days('2026-03-08T05:00:00Z', '2026-03-08T06:00:00Z')).toBe(0)
  })

  it('begins with the first instant that bears its date, where clocks skip midnight too', () => {
    const noon = at('2018-11-04T12:00:00Z')
    expect(startOfDay(localDate(noon, 'America/Sao_Paulo'), 'America/Sao_Paulo')).toBe(
      at('2018-11-04T03:00:00Z'),
    )
  })

  it('ends so many days later at the midnight after', () => {
    expect(endOfLocalDay(at('2026-03-07T12:00:00Z'), 0, 'America/New_York')).toBe(at('2026-03-08T05:00:00Z'))
    expect(endOfLocalDay(at('2026-03-07T12:00:00Z'), 1, 'America/New_York')).toBe(at('2026-03-09T04:00:00Z'))
  })
})

describe('a time of day', () => {
  it('is read to the minute, with 24:00 as the end of the day', () => {
    expect(['00:00', '09:30', '24:00'].map(parseMinuteOfDay)).toEqual([0, 570, 1440])
    expect(['24:01', '25:00', '09:60', '9:30', '09:30:00', ''].map(parseMinuteOfDay)).toEqual(
      Array(6).fill(null),
    )
  })

  it('lies in a span that holds its start and not its end, over midnight where it begins later', () => {
    const day = { start: 540, end: 1020 }
    const night = { start: 1320, end: 360 }
    expect([539, 540, 1019, 1020].map((minute) => isInDaySpan(day, minute))).toEqual([
      false,
      true,
      true,
      false,
    ])
    expect([1319, 1320, 0, 359, 360].map((minute) => isInDaySpan(night, minute))).toEqual([
      false,
      true,
      true,
      true,
      false,
    ])
    expect(isInDaySpan({ start: 540, end: 540 }, 540)).toBe(false)
  })
})
