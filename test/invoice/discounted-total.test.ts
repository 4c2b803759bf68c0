import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Discount } from '../../src/catalog/price.ts'
import { discountedTotal, takeDiscount, withoutShare } from '../../src/invoice/discounted-total.ts'
import {
  add,
  compare,
  type Decimal,
  decimal,
  isNegative,
  subtract,
  toText,
  ZERO,
} from '../../src/money/decimal.ts'

const percent = (of: string): Discount => ({ kind: 'percent', percent: decimal(of) })
const off = (of: string): Discount => ({ kind: 'amount', amount: decimal(of) })
const all = (discount: Discount): { discount: Discount; lines: null } => ({ discount, lines: null })
const texts = (amounts: readonly Decimal[]): string[] => amounts.map(toText)

describe('the total of an invoice', () => {
  it('takes discounts of lines, then of the invoice, then credits as a payment', () => {
    const of = discountedTotal(
      [
        { amount: decimal('100'), discounts: [percent('10')] },
        { amount: decimal('50'), discounts: [off('80')] },
      ],
      [all(percent('20'))],
      [decimal('10'), decimal('100')],
      2,
    )
    expect([of.subtotal, of.discount, of.credits, of.total].map(toText)).toEqual(['150', '78', '72', '0'])
    expect(texts(of.taxable)).toEqual(['72', '0'])
  })

  it('shares a discount out to the lines that it may reduce, each by what is left of it', () => {
    const lines = ['10', '20', '30'].map(decimal)
    expect(texts(takeDiscount(lines, { discount: off('15'), lines: [0, 1] }, 2))).toEqual(['5', '10', '30'])
    expect(texts(takeDiscount(lines, { discount: off('100'), lines: [2] }, 2))).toEqual(['10', '20', '0'])
    expect(texts(takeDiscount(lines, { discount: percent('10'), lines: [] }, 2))).toEqual(['10', '20', '30'])
    expect(texts(withoutShare(['333', '333', '334'].map(decimal), decimal('100'), 0))).toEqual([
      '300',
      '300',
      '300',
    ])
  })

  it('never goes below zero, and its lines add up', () => {
    const cents = fc.nat(100_000).map((n): Decimal => ({ coefficient: BigInt(n), scale: 2 }))
    const discounts = fc.oneof(
      fc.nat(100).map((n): Discount => percent(String(n))),
      cents.map((amount): Discount => ({ kind: 'amount', amount })),
    )
    fc.assert(
      fc.property(
        fc.array(fc.record({ amount: cents, discounts: fc.array(discounts, { maxLength: 2 }) }), {
          maxLength: 6,
        }),
        fc.array(discounts, { maxLength: 3 }),
        fc.array(cents, { maxLength: 3 }),
        (lines, ofInvoice, credits) => {
          const of = discountedTotal(lines, ofInvoice.map(all), credits, 2)
          expect(of.taxable.some(isNegative) || isNegative(of.total)).toBe(false)
          const due = of.taxable.reduce(add, ZERO)
          expect(compare(subtract(of.subtotal, of.discount), due)).toBe(0)
          expect(compare(add(of.total, of.credits), due)).toBe(0)
        },
      ),
    )
  })
})
