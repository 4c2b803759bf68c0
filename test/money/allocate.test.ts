import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { allocate, shareOf, splitCumulatively, takeInOrder } from '../../src/money/allocate.ts'
import {
  add,
  compare,
  decimal,
  type Decimal,
  round,
  subtract,
  toFixedText,
  toText,
  ZERO,
} from '../../src/money/decimal.ts'
import { rational, roundRational } from '../../src/money/rational.ts'

const cents = (texts: readonly Decimal[]): string[] => texts.map(toFixedText)
const amounts = fc
  .tuple(fc.bigInt(-(10n ** 12n), 10n ** 12n), fc.integer({ min: 0, max: 6 }))
  .map(([coefficient, scale]): Decimal => ({ coefficient, scale }))

describe('allocate', () => {
  it('gives the last cents to the largest remainders, ties to the lowest index', () => {
    expect(cents(allocate(decimal('100'), ['1', '1', '1'].map(decimal), 2))).toEqual([
      '33.34',
      '33.33',
      '33.33',
    ])
    expect(cents(allocate(decimal('100'), ['1', '2', '3'].map(decimal), 2))).toEqual([
      '16.67',
      '33.33',
      '50.00',
    ])
    expect(cents(allocate(decimal('-0.05'), ['1', '1'].map(decimal), 2))).toEqual(['-0.03', '-0.02'])
  })

  it('adds up to the rounded amount whatever the weights', () => {
    const weights = fc
      .array(fc.bigInt(0n, 10n ** 9n), { minLength: 1, maxLength: 20 })
      .filter((list) => list.some((weight) => weight > 0n))
    fc.assert(
      fc.property(amounts, weights, fc.integer({ min: 0, max: 3 }), (amount, list, digits) => {
        const parts = allocate(
          amount,
          list.map((coefficient) => ({ coefficient, scale: 3 })),
          digits,
        )
        expect(compare(parts.reduce(add, ZERO), round(amount, digits))).toBe(0)
      }),
    )
  })

  it('refuses weights that share nothing out', () => {
    expect(() => allocate(decimal('1'), [ZERO], 2)).toThrow(RangeError)
    expect(() => allocate(decimal('1'), ['2', '-1'].map(decimal), 2)).toThrow(RangeError)
  })
})

describe('splitCumulatively', () => {
  it('splits by days without losing a cent', () => {
    const thirds = [10n, 20n, 30n].map((days) => rational(days, 30n))
    expect(cents(splitCumulatively(decimal('100.01'), thirds, 2))).toEqual(['33.34', '33.33', '33.34'])
  })

  it('adds up, and no part is off by a whole unit', () => {
    fc.assert(
      fc.property(
        amounts,
        fc.array(fc.bigInt(1n, 100n), { minLength: 1, maxLength: 12 }),
        (amount, lengths) => {
          const whole = lengths.reduce((sum, days) => sum + days, 0n)
          let days = 0n
          const shares = lengths.map((length) => rational((days += length), whole))
          const parts = splitCumulatively(amount, shares, 2)
          expect(compare(parts.reduce(add, ZERO), round(amount, 2))).toBe(0)
          parts.forEach((part, i) => {
            const exact = roundRational(
              rational(amount.coefficient * (lengths[i] ?? 0n), whole * 10n ** BigInt(amount.scale)),
              10,
            )
            const off = subtract(part, exact)
            expect(compare(off, decimal('0.0100000001'))).toBeLessThan(0)
            expect(compare(off, decimal('-0.0100000001'))).toBeGreaterThan(0)
          })
        },
      ),
    )
  })

  it('shares of few digits keep those asked for', () => {
    expect(toFixedText(shareOf(decimal('1000'), rational(10n, 31n), 0))).toBe('323')
    expect(toFixedText(shareOf(decimal('7'), rational(1n, 2n), 2))).toBe('3.50')
  })
})

describe('takeInOrder', () => {
  it('takes what each has and says what is missing', () => {
    const { taken, left } = takeInOrder(decimal('175'), ['100', '50.00'].map(decimal))
    expect([taken.map(toText), toText(left)]).toEqual([['100', '50'], '25'])
  })
})

describe('weights and parts of other scales', () => {
  const of = (amount: string, ...weights: readonly string[]): string[] =>
    allocate(decimal(amount), weights.map(decimal), 2).map(toText)

  it('are compared by value', () => {
    expect(of('10', '1', '0.5', '0.50')).toEqual(['5', '2.5', '2.5'])
    expect(of('-0.05', '1', '1.0', '1.00')).toEqual(['-0.02', '-0.02', '-0.01'])
    expect(of('0', '1', '2')).toEqual(['0', '0'])
  })

  it('must be 0 or more, and one of them above 0: the error says so', () => {
    expect(() => of('1')).toThrow('weights are 0 or more')
    expect(() => of('1', '0', '0.00')).toThrow('one is above 0')
    expect(() => of('1', '2', '-1')).toThrow('weights are 0 or more')
  })

  it('are taken in order whatever their scales', () => {
    const { taken, left } = takeInOrder(decimal('1.5'), ['1.250', '0.2', '9'].map(decimal))
    expect([...taken, left].map(toText)).toEqual(['1.25', '0.2', '0.05', '0'])
    const more = takeInOrder(decimal('3'), ['1.25', '0.5'].map(decimal))
    expect(toText(more.left)).toBe('1.25')
  })
})
