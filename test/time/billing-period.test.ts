import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  BILLING_INTERVALS,
  type BillingSchedule,
  anchorDayMax,
  defaultAnchorDay,
  periodAt,
  periodOfIndex,
} from '../../src/time/billing-period.ts'
import { localDayText, localDaysIn } from '../../src/time/local-day.ts'
import { type Instant, formatInstant, instantOf, parseInstant } from '../../src/time/instant.ts'

function at(text: string): Instant {
  const parsed = parseInstant(text.length === 10 ? `${text}T00:00:00Z` : text)
  if (parsed === null) throw new Error(`not an instant: ${text}`)
  return parsed
}

function schedule(over: Partial<BillingSchedule> & { start: string }): BillingSchedule {
  const { start, ...rest } = over
  return { startsAt: at(start), interval: 'month', anchorDay: 1, timezone: 'UTC', ...rest }
}

function boundaries(of: BillingSchedule, count: number): string[] {
  return Array.from({ length: count }, (_, k) => localDayText(periodOfIndex(of, k).end, of.timezone))
}

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Sao_Paulo',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Africa/Cairo',
]

describe('boundaries follow from the anchor day', () => {
  it.each([
    ['DAT-004', { start: '2023-01-31', anchorDay: 31 }, ['2023-02-28', '2023-03-31', '2023-04-30']],
    ['DAT-004 leap', { start: '2024-01-31', anchorDay: 31 }, ['2024-02-29', '2024-03-31', '2024-04-30']],
    ['DAT-005', { start: '2012-01-16', anchorDay: 17 }, ['2012-01-17', '2012-02-17']],
    ['DAT-006', { start: '2012-02-16', anchorDay: 30 }, ['2012-02-29', '2012-03-30']],
    ['DAT-008', { start: '2012-01-31', anchorDay: 30, interval: 'year' }, ['2013-01-30']],
    ['DAT-009', { start: '2012-02-16', anchorDay: 14 }, ['2012-03-14']],
    ['DAT-010', { start: '2012-02-16', anchorDay: 14, interval: 'year' }, ['2013-02-14']],
    ['DAT-011', { start: '2012-07-16', anchorDay: 15 }, ['2012-08-15']],
    [
      'DAT-018',
      { start: '2024-02-29', anchorDay: 29, interval: 'year' },
      ['2025-02-28', '2026-02-28', '2027-02-28', '2028-02-29'],
    ],
    [
      'DAT-019',
      { start: '2023-11-30', anchorDay: 30, interval: 'quarter' },
      ['2024-02-29', '2024-05-30', '2024-08-30', '2024-11-30'],
    ],
    ['day', { start: '2024-02-28', interval: 'day' }, ['2024-02-29', '2024-03-01']],
    ['week', { start: '2024-02-28', interval: 'week', anchorDay: 1 }, ['2024-03-04', '2024-03-11']],
  ] as const)('%s', (_, given, expected) => {
    expect(boundaries(schedule(given), expected.length)).toEqual(expected)
  })

  it('PRO-022: the stub before a clamped boundary is measured from the anchor, not from the clamped day', () => {
    const stub = periodAt(schedule({ start: '2011-02-14', anchorDay: 31 }), at('2011-02-14'))
    expect([formatInstant(stub.start), formatInstant(stub.end)]).toEqual([
      '2011-01-31T00:00:00Z',
      '2011-02-28T00:00:00Z',
    ])
    expect(localDaysIn(stub, 'UTC')).toBe(28)
  })

  it('DST-003: a local month begins and ends at local midnight, an event at 00:00 belongs to the new one', () => {
    const of = schedule({ start: '2023-03-01T05:00:00Z', timezone: 'America/New_York' })
    const march = periodAt(of, at('2023-03-15T12:00:00Z'))
    expect(formatInstant(march.start)).toBe('2023-03-01T05:00:00Z')
    expect(formatInstant(march.end)).toBe('2023-04-01T04:00:00Z')
    expect(periodAt(of, march.end).index).toBe(march.index + 1)
    expect(localDaysIn(march, of.timezone)).toBe(31)
  })

  it('refuses an anchor day that the interval does not know', () => {
    expect(() => periodOfIndex(schedule({ start: '2024-01-01', anchorDay: 32 }), 0)).toThrow(RangeError)
    expect(() => periodOfIndex(schedule({ start: '2024-01-01', interval: 'week', anchorDay: 8 }), 0)).toThrow(
      RangeError,
    )
  })

  it('takes the local day of the start as anchor when none is named', () => {
    expect(defaultAnchorDay(at('2024-03-31T22:30:00Z'), 'month', 'Europe/Berlin')).toBe(1)
    expect(defaultAnchorDay(at('2024-03-31T22:30:00Z'), 'week', 'UTC')).toBe(7)
    expect(defaultAnchorDay(at('2024-03-31T22:30:00Z'), 'day', 'UTC')).toBe(1)
  })
})

const anySchedule = fc
  .record({
    startsAt: fc.integer({ min: Date.UTC(2005, 0), max: Date.UTC(2037, 0) }),
    interval: fc.constantFrom(...BILLING_INTERVALS),
    anchor: fc.integer({ min: 0, max: 30 }),
    timezone: fc.constantFrom(...ZONES),
  })
  .map(({ startsAt, interval, anchor, timezone }): BillingSchedule => ({
    startsAt: instantOf(startsAt),
    interval,
    anchorDay: (anchor % anchorDayMax(interval)) + 1,
    timezone,
  }))

describe('for any start, anchor, interval and zone', () => {
  it('INV-18: 48 periods are contiguous and disjoint, and period 0 holds the start', () => {
    fc.assert(
      fc.property(anySchedule, (of) => {
        const periods = Array.from({ length: 48 }, (_, k) => periodOfIndex(of, k))
        const [first] = periods
        expect(first !== undefined && first.start <= of.startsAt && of.startsAt < first.end).toBe(true)
        for (const [k, period] of periods.entries()) {
          if (k > 0) expect(period.start).toBe(periods[k - 1]?.end)
          // A zone may skip a whole calendar day (Samoa, 2011-12-30): that day's period is empty, never negative.
          expect(period.end).toBeGreaterThanOrEqual(period.start)
        }
      }),
      { numRuns: 150 },
    )
  })

  it('every instant lies in exactly the period that it is given', () => {
    fc.assert(
      fc.property(anySchedule, fc.integer({ min: 0, max: 3 * 365 * 86_400_000 }), (of, laterMs) => {
        const instant = instantOf(of.startsAt + laterMs)
        const period = periodAt(of, instant)
        expect(period.start <= instant && instant < period.end).toBe(true)
        expect(periodOfIndex(of, period.index)).toEqual(period)
      }),
      { numRuns: 300 },
    )
  })

  it('a monthly boundary stands on the anchor day or on the last day of a shorter month', () => {
    fc.assert(
      fc.property(anySchedule, fc.integer({ min: 0, max: 60 }), (any, index) => {
        const of = { ...any, interval: 'month' as const, timezone: 'Europe/Berlin' }
        const { end } = periodOfIndex(of, index)
        const day = Number(localDayText(end, of.timezone).slice(8))
        const next = Number(localDayText(instantOf(end + 26 * 3_600_000), of.timezone).slice(8))
        expect(day === of.anchorDay || (day < of.anchorDay && next === 1)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })
})
