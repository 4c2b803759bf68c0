import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Currency, parseCurrency } from '../../src/money/currency.ts'
import { add, compare, type Decimal, decimal, subtract, toText, ZERO } from '../../src/money/decimal.ts'
import { itemise } from '../../src/rating/itemise.ts'
import { rate } from '../../src/rating/rate.ts'
import type { Rated } from '../../src/rating/rating-outcome.ts'
import type { RatingRequest } from '../../src/rating/rating-request.ts'
import { anyPrice, bareTerms, quantities, termsWith } from './arbitraries.ts'

const USD = parseCurrency('USD') as Currency

function rated(request: Omit<RatingRequest, 'currency'>): Rated {
  const outcome = rate({ ...request, currency: USD })
  if (outcome.kind === 'refused') throw new Error(outcome.error.detail)
  return outcome
}

const graduated = bareTerms({
  model: 'graduated',
  flatFeeOnZeroUsage: false,
  tiers: [
    { upTo: decimal('10'), unitAmount: decimal('0.333'), flatAmount: null, packageSize: null },
    { upTo: null, unitAmount: decimal('0.1'), flatAmount: decimal('1'), packageSize: null },
  ],
})

describe('items of a rated amount', () => {
  it('I13: add up to it to the cent, with or without an earlier part', () => {
    fc.assert(
      fc.property(
        termsWith(anyPrice),
        quantities,
        fc.option(quantities, { nil: undefined }),
        (terms, quantity, previousQuantity) => {
          const outcome = rated({
            ...terms,
            quantity,
            ...(previousQuantity === undefined ? {} : { previousQuantity }),
          })
          const { items } = itemise(outcome, USD)
          expect(toText(items.reduce<Decimal>((sum, { total }) => add(sum, total), ZERO))).toBe(
            toText(outcome.amount),
          )
          for (const { amount, reductions, total } of items) {
            expect(
              compare(
                subtract(
                  amount,
                  reductions.reduce<Decimal>((sum, one) => add(sum, one.amount), ZERO),
                ),
                total,
              ),
            ).toBe(0)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('I13: share out a percent discount by what the charges are, and fill a maximum in their order', () => {
    const totals = (terms: Partial<RatingRequest>): string[] =>
      itemise(rated({ ...graduated, quantity: decimal('20'), ...terms }), USD).items.map(({ total }) =>
        toText(total),
      )
    expect(totals({})).toEqual(['3.33', '1', '1'])
    expect(totals({ discounts: [{ kind: 'percent', percent: decimal('50') }] })).toEqual([
      '1.67',
      '0.5',
      '0.5',
    ])
    expect(totals({ maximum: decimal('4') })).toEqual(['3.33', '0.67', '0'])
  })

  it('are paid by credits in their order, a minimum too; what nothing can use is left', () => {
    const outcome = rated({ ...graduated, quantity: decimal('10'), minimum: decimal('5') })
    const { items, creditsLeft } = itemise(outcome, USD, [decimal('4'), decimal('3')])
    expect(items.map(({ line, credits, total }) => [line.kind, credits.map(toText), toText(total)])).toEqual([
      ['tierUsage', ['3.33'], '0'],
      ['minimum', ['0.67', '1'], '0'],
    ])
    expect(toText(creditsLeft)).toBe('2')
  })
})
