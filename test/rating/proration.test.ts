import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PRORATION_CONVENTIONS, type ProrationConvention } from '../../src/catalog/price.ts'
import { splitCumulatively } from '../../src/money/allocate.ts'
import { add, type Decimal, decimal, toFixedText, ZERO } from '../../src/money/decimal.ts'
import {
  changeWithinPeriod,
  keptUntil,
  servedDays,
  servedShare,
  servedUnits,
} from '../../src/rating/proration.ts'
import { type Instant, instantOf, type Interval } from '../../src/time/instant.ts'

const day = (text: string): Instant => instantOf(Date.parse(`${text}T00:00:00Z`))
const span = (start: string, end: string): Interval => ({ start: day(start), end: day(end) })
const share = (service: Interval, period: Interval, convention: ProrationConvention): string => {
  const { numerator, denominator } = servedShare(service, period, convention, 'UTC')
  return `${String(numerator)}/${String(denominator)}`
}

describe('the share of a period', () => {
  const january = span('2026-01-01', '2026-02-01')
  const service = span('2026-01-11', '2026-02-01')

  it('follows from the convention', () => {
    expect(share(service, january, 'actualDays')).toBe('21/31')
    expect(share(service, january, 'fixed30')).toBe('2/3')
    expect(share(service, january, 'thirty360')).toBe('2/3')
    expect(share(service, january, 'second')).toBe('21/31')
    expect(share(service, january, 'none')).toBe('1/1')
  })

  it('counts months of 30 days in 30E/360: the 31st is the 30th, and February has 30', () => {
    expect(servedDays(span('2026-02-01', '2026-03-01'), 'thirty360', 'UTC')).toBe(30)
    expect(servedDays(span('2026-01-30', '2026-01-31'), 'thirty360', 'UTC')).toBe(0)
    expect(servedDays(span('2026-01-15', '2026-07-15'), 'thirty360', 'UTC')).toBe(180)
    expect(servedDays(span('2024-01-01', '2025-01-01'), 'thirty360', 'UTC')).toBe(360)
    expect(share(span('2026-01-30', '2026-01-31'), span('2026-01-30', '2026-01-31'), 'thirty360')).toBe('1/1')
  })

  it('is whole for a whole period, whatever its months count', () => {
    for (const convention of PRORATION_CONVENTIONS) expect(share(january, january, convention)).toBe('1/1')
  })

  it('I12: counts services that follow each other up to the whole of their period, by each convention', () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 89 }), { minLength: 1, maxLength: 5 })
    const shared = PRORATION_CONVENTIONS.filter((convention) => convention !== 'none')
    fc.assert(
      fc.property(
        cuts,
        fc.constantFrom(...shared),
        fc.integer({ min: 0, max: 400 }),
        (days, convention, from) => {
          const start = instantOf(day('2024-01-01') + from * 86_400_000)
          const period = { start, end: instantOf(start + 90 * 86_400_000) }
          const ends = [
            ...days.sort((a, b) => a - b).map((n) => instantOf(start + n * 86_400_000)),
            period.end,
          ]
          const units = ends.map((end, i) =>
            servedUnits({ start: ends[i - 1] ?? start, end }, period, convention, 'UTC'),
          )
          expect(units.reduce((sum, { billed }) => sum + billed, 0)).toBe(units[0]?.whole)
        },
      ),
    )
  })

  it('counts days of the zone’s calendar, which may have 23 or 25 hours', () => {
    const start = instantOf(Date.parse('2026-03-01T00:00:00-05:00'))
    const end = instantOf(Date.parse('2026-04-01T00:00:00-04:00'))
    const half = instantOf(Date.parse('2026-03-16T00:00:00-04:00'))
    const { numerator, denominator } = servedShare(
      { start, end: half },
      { start, end },
      'actualDays',
      'America/New_York',
    )
    expect([numerator, denominator]).toEqual([15n, 31n])
  })

  it('lies between nothing and the whole, and grows with the service', () => {
    const lengths = fc.tuple(fc.integer({ min: 1, max: 31 }), fc.integer({ min: 1, max: 31 }))
    fc.assert(
      fc.property(lengths, fc.constantFrom(...PRORATION_CONVENTIONS), ([a, b], convention) => {
        const of = (days: number): number => {
          const end = instantOf(january.start + Math.min(days, 31) * 86_400_000)
          const { numerator, denominator } = servedShare(
            { start: january.start, end },
            january,
            convention,
            'UTC',
          )
          return Number(numerator) / Number(denominator)
        }
        expect(of(a)).toBeGreaterThanOrEqual(0)
        expect(of(a)).toBeLessThanOrEqual(1)
        if (a <= b) expect(of(a)).toBeLessThanOrEqual(of(b))
      }),
    )
  })
})

describe('a change within a period', () => {
  const period = span('2017-02-01', '2017-03-01')

  it('I12: credits what was charged less what is kept, so that the old price is whole', () => {
    const kept = servedShare(keptUntil(period, day('2017-02-15')), period, 'actualDays', 'UTC')
    const { credit, charge } = changeWithinPeriod(decimal('29.95'), decimal('59.90'), kept, 2)
    expect([toFixedText(credit), toFixedText(charge)]).toEqual(['-14.97', '29.95'])
  })

  it('is nothing at its end and all at its start, also for instants outside', () => {
    const at = (text: string): string[] => {
      const kept = servedShare(keptUntil(period, day(text)), period, 'actualDays', 'UTC')
      const { credit, charge } = changeWithinPeriod(decimal('10'), decimal('20'), kept, 2)
      return [toFixedText(credit), toFixedText(charge)]
    }
    expect(at('2017-02-01')).toEqual(['-10.00', '20.00'])
    expect(at('2017-01-01')).toEqual(['-10.00', '20.00'])
    expect(at('2017-03-01')).toEqual(['0.00', '0.00'])
    expect(at('2018-01-01')).toEqual(['0.00', '0.00'])
  })

  it('I12: and its undoing at the same instant come to nothing', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.nat(28), (cents, days) => {
        const price: Decimal = { coefficient: BigInt(cents), scale: 2 }
        const kept = servedShare(
          keptUntil(period, instantOf(period.start + days * 86_400_000)),
          period,
          'actualDays',
          'UTC',
        )
        const same = changeWithinPeriod(price, price, kept, 2)
        expect(add(same.credit, same.charge).coefficient).toBe(0n)
      }),
    )
  })

  it('I12: any number of segments adds up to the whole', () => {
    fc.assert(
      fc.property(
        fc.nat(10_000_000),
        fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
        (cents, days) => {
          const ends = [...days, 31].sort((a, b) => a - b)
          const parts = splitCumulatively(
            { coefficient: BigInt(cents), scale: 2 },
            ends.map((end) => ({ numerator: BigInt(end), denominator: 31n })),
            2,
          )
          expect(parts.reduce(add, ZERO).coefficient).toBe(BigInt(cents))
        },
      ),
    )
  })
})
