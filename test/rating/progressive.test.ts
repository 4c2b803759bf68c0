import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { add, compare, type Decimal, decimal, subtract, toText, ZERO } from '../../src/money/decimal.ts'
import {
  nextThreshold,
  progressiveCredits,
  thresholdBill,
  type Thresholds,
} from '../../src/rating/progressive.ts'

const thresholds: Thresholds = { amounts: ['200', '500', '700'].map(decimal), step: decimal('1000') }
const textOf = (amount: Decimal | null): string | null => (amount === null ? null : toText(amount))

describe('bills before the end of a period', () => {
  it('are of all that is not billed yet, once a threshold is crossed; several crossed at once make one', () => {
    const bill = (reached: string, billed: string): string | null =>
      textOf(thresholdBill(thresholds, decimal(reached), decimal(billed)))
    expect(bill('199.99', '0')).toBeNull()
    expect(bill('200', '0')).toBe('200')
    expect(bill('660', '220')).toBe('440')
    expect(bill('690', '660')).toBeNull()
    expect(bill('5280', '3080')).toBe('2200')
  })

  it('go on in steps beyond the last threshold, or never', () => {
    const next = (of: Thresholds, billed: string): string | null => textOf(nextThreshold(of, decimal(billed)))
    expect(next(thresholds, '700')).toBe('1700')
    expect(next(thresholds, '1699.99')).toBe('1700')
    expect(next(thresholds, '1700')).toBe('2700')
    expect(next({ ...thresholds, step: null }, '700')).toBeNull()
    expect(next({ amounts: [], step: decimal('10') }, '0')).toBe('10')
  })

  it('I3: and the last one add up to the whole', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3000), { maxLength: 20 }), (steps) => {
        let reached: Decimal = ZERO
        let billed: Decimal = ZERO
        for (const step of steps) {
          reached = add(reached, { coefficient: BigInt(step), scale: 1 })
          const bill = thresholdBill(thresholds, reached, billed)
          if (bill !== null) billed = add(billed, bill)
          const next = nextThreshold(thresholds, billed)
          expect(next === null || compare(reached, next) < 0).toBe(true)
        }
        const [credit = ZERO] = progressiveCredits([reached], [billed])
        expect(toText(add(billed, subtract(reached, credit)))).toBe(toText(reached))
      }),
    )
  })

  it('are taken off charge by charge, never more than the charge', () => {
    expect(progressiveCredits(['19', '500'].map(decimal), ['20'].map(decimal)).map(toText)).toEqual([
      '19',
      '0',
    ])
  })
})
