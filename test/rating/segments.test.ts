import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Currency, parseCurrency } from '../../src/money/currency.ts'
import { add, type Decimal, decimal, toText, ZERO } from '../../src/money/decimal.ts'
import { rate } from '../../src/rating/rate.ts'
import { type PriceSegment, rateSegments, type TiersOnChange } from '../../src/rating/segments.ts'
import { anyPrice, bareTerms, quantities, termsWith } from './arbitraries.ts'

const USD = parseCurrency('USD') as Currency

function graduated(...unitAmounts: readonly [string, string]): PriceSegment['terms'] {
  return bareTerms({
    model: 'graduated',
    flatFeeOnZeroUsage: false,
    tiers: unitAmounts.map((unitAmount, i) => ({
      upTo: i === 0 ? decimal('10') : null,
      unitAmount: decimal(unitAmount),
      flatAmount: null,
      packageSize: null,
    })),
  })
}

function amounts(segments: readonly PriceSegment[], tiers: TiersOnChange): string[] {
  return rateSegments(segments, USD, tiers).map((outcome) =>
    outcome.kind === 'rated' ? toText(outcome.amount) : outcome.error.code,
  )
}

describe('a period in which the price changed', () => {
  const segments = [
    { terms: graduated('1', '0.5'), quantity: decimal('8') },
    { terms: graduated('2', '1'), quantity: decimal('8') },
  ]

  it('begins its tiers anew, or goes on at the quantity that it had reached', () => {
    expect(amounts(segments, 'restart')).toEqual(['8', '16'])
    expect(amounts(segments, 'continue')).toEqual(['8', '10']) // 2 at 2, then 6 at 1
  })

  it('waits with a minimum for the last segment when it goes on as one', () => {
    const withMinimum = segments.map(({ terms, quantity }) => ({
      terms: { ...terms, minimum: decimal('30') },
      quantity,
    }))
    expect(amounts(withMinimum, 'restart')).toEqual(['30', '30'])
    expect(amounts(withMinimum, 'continue')).toEqual(['8', '14']) // the second version alone comes to 26
  })

  it('I3: comes to the whole when the price did not change at all', () => {
    fc.assert(
      fc.property(
        termsWith(anyPrice),
        fc.array(quantities, { minLength: 1, maxLength: 5 }),
        (terms, parts) => {
          const outcomes = rateSegments(
            parts.map((quantity) => ({ terms, quantity })),
            USD,
            'continue',
          )
          const sum = outcomes.reduce<Decimal>(
            (all, outcome) => (outcome.kind === 'rated' ? add(all, outcome.amount) : all),
            ZERO,
          )
          const whole = rate({ ...terms, currency: USD, quantity: parts.reduce(add, ZERO) })
          expect(toText(sum)).toBe(whole.kind === 'rated' ? toText(whole.amount) : '')
        },
      ),
      { numRuns: 200 },
    )
  })
})
