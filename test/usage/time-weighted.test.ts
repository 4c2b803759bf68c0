import { describe, expect, it } from 'vitest'
import { decimal, toText } from '../../src/money/decimal.ts'
import { roundRational } from '../../src/money/rational.ts'
import { instantOf } from '../../src/time/instant.ts'
import { dayWeightedUnits, timeWeightedLevel } from '../../src/usage/time-weighted.ts'

const at = (day: number): ReturnType<typeof instantOf> => instantOf(day * 86_400_000)
const march = { start: at(0), end: at(31) }

describe('a level over time', () => {
  const level = (initial: string, ...changes: readonly (readonly [day: number, change: string])[]): string =>
    toText(
      roundRational(
        timeWeightedLevel(
          march,
          decimal(initial),
          changes.map(([day, change]) => ({ at: at(day), change: decimal(change) })),
        ),
        5,
      ),
    )

  it('counts each level for the time it was held, in any order of the changes', () => {
    expect(level('10')).toBe('10')
    expect(level('0', [4, '1000'])).toBe('870.96774')
    expect(level('0', [20, '-2'], [10, '2'])).toBe(level('0', [10, '2'], [20, '-2']))
    expect(level('0', [10, '3'], [10, '3'])).toBe(level('0', [10, '6']))
    expect(level('5', [31, '100'])).toBe('5')
  })
})

describe('units held for some days', () => {
  it('come to their share of a period', () => {
    const held = [
      { units: decimal('5'), days: 31 },
      { units: decimal('24'), days: 6 },
    ]
    expect(toText(roundRational(dayWeightedUnits(held, 31), 5))).toBe('9.64516')
    expect(toText(roundRational(dayWeightedUnits([], 31), 5))).toBe('0')
  })
})
