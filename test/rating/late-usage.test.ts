import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Currency, parseCurrency } from '../../src/money/currency.ts'
import { add, type Decimal, decimal, toText, ZERO } from '../../src/money/decimal.ts'
import { lateUsage } from '../../src/rating/late-usage.ts'
import { lineDifference } from '../../src/rating/line-difference.ts'
import { rate } from '../../src/rating/rate.ts'
import { sumOfLines } from '../../src/rating/rated-line.ts'
import type { RatingOutcome } from '../../src/rating/rating-outcome.ts'
import { anyPrice, bareTerms, quantities, termsWith } from './arbitraries.ts'

const USD = parseCurrency('USD') as Currency
const volume = bareTerms({
  model: 'volume',
  flatFeeOnZeroUsage: false,
  tiers: [
    { upTo: decimal('100'), unitAmount: decimal('2'), flatAmount: null, packageSize: null },
    { upTo: null, unitAmount: decimal('1'), flatAmount: null, packageSize: null },
  ],
})

function amounts(outcomes: readonly RatingOutcome[]): string[] {
  return outcomes.map((outcome) => (outcome.kind === 'rated' ? toText(outcome.amount) : outcome.error.code))
}

function known(closed: boolean, ...cumulative: readonly string[]): Parameters<typeof lateUsage>[2] {
  return { cumulative: cumulative.map(decimal), closed }
}

describe('late usage', () => {
  it('is what each part comes to now less what it came to before, and may be a credit', () => {
    expect(amounts(lateUsage(volume, USD, known(true, '60', '120'), known(true, '60', '100')))).toEqual([
      '0',
      '-80',
    ])
    expect(amounts(lateUsage(volume, USD, known(true, '60', '100'), known(false)))).toEqual(['120', '80'])
  })

  it('I3: adds up: what was billed and every later difference are the whole', () => {
    fc.assert(
      fc.property(
        termsWith(anyPrice),
        fc.array(quantities, { minLength: 2, maxLength: 5 }),
        (terms, arrived) => {
          let total: Decimal = ZERO
          let billed: Decimal = ZERO
          let before: Parameters<typeof lateUsage>[3] = { cumulative: [], closed: false }
          for (const quantity of arrived) {
            total = add(total, quantity)
            const now = { cumulative: [total], closed: true }
            for (const outcome of lateUsage(terms, USD, now, before)) {
              if (outcome.kind === 'rated') billed = add(billed, outcome.amount)
            }
            before = now
          }
          const whole = rate({ ...terms, currency: USD, quantity: total })
          expect(toText(billed)).toBe(whole.kind === 'rated' ? toText(whole.amount) : '')
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('the difference of lines', () => {
  it('I2: has the difference of their sums, however the lines differ', () => {
    fc.assert(
      fc.property(termsWith(anyPrice), quantities, quantities, (terms, a, b) => {
        const [now, before] = [a, b].map((quantity) => {
          const outcome = rate({ ...terms, currency: USD, quantity })
          return outcome.kind === 'rated' ? outcome.lines : []
        })
        const difference = sumOfLines(lineDifference(now ?? [], before ?? []))
        expect(toText(add(difference, sumOfLines(before ?? [])))).toBe(toText(sumOfLines(now ?? [])))
      }),
    )
  })
})
