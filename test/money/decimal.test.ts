import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  absolute,
  add,
  compare,
  decimal,
  divide,
  divideRounded,
  fromBigInt,
  isNegative,
  isZero,
  maximum,
  minimum,
  multiply,
  negate,
  parseDecimal,
  pow10,
  round,
  type RoundingMode,
  roundToPlace,
  subtract,
  toFixedText,
  toText,
} from '../../src/money/decimal.ts'

const anyDecimal = fc
  .tuple(fc.bigInt(-(10n ** 24n), 10n ** 24n), fc.integer({ min: 0, max: 15 }))
  .map(([coefficient, scale]) => ({ coefficient, scale }))

describe('parseDecimal', () => {
  it.each([
    ['0', 0n, 0],
    ['-12.50', -1250n, 2],
    ['007', 7n, 0],
    ['0.000000000001', 1n, 12],
    ['99999999999999999999999999999999999999', 99999999999999999999999999999999999999n, 0],
  ])('reads %s', (text, coefficient, scale) => {
    expect(parseDecimal(text)).toEqual({ kind: 'decimal', value: { coefficient, scale } })
  })

  it.each(['', '.5', '5.', '+5', ' 5', '5 ', '1e3', '1,5', '--1', '0x1', 'NaN', 'Infinity', '١'])(
    'does not guess at %j',
    (text) => {
      expect(parseDecimal(text)).toEqual({ kind: 'malformed' })
    },
  )

  it('refuses more than 38 digits, leading zeros aside', () => {
    expect(parseDecimal('1'.repeat(38)).kind).toBe('decimal')
    expect(parseDecimal('1'.repeat(39)).kind).toBe('tooManyDigits')
    expect(parseDecimal('0'.repeat(40) + '1').kind).toBe('decimal')
    expect(parseDecimal('0.' + '0'.repeat(38) + '1').kind).toBe('tooManyDigits')
    expect(parseDecimal('1'.repeat(5000)).kind).toBe('tooManyDigits')
  })

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(anyDecimal, (a) => {
        expect(decimal(toFixedText(a))).toEqual(a)
        expect(compare(decimal(toText(a)), a)).toBe(0)
      }),
    )
  })

  it('decimal throws for what is none', () => {
    expect(() => decimal('1e3')).toThrow(RangeError)
  })
})

describe('arithmetic', () => {
  it('agrees with integers of a common scale', () => {
    fc.assert(
      fc.property(anyDecimal, anyDecimal, (a, b) => {
        const x = a.coefficient * pow10(20 - a.scale)
        const y = b.coefficient * pow10(20 - b.scale)
        expect(compare(add(a, b), { coefficient: x + y, scale: 20 })).toBe(0)
        expect(compare(subtract(a, b), { coefficient: x - y, scale: 20 })).toBe(0)
        expect(compare(multiply(a, b), { coefficient: x * y, scale: 40 })).toBe(0)
        expect(compare(a, b)).toBe(x < y ? -1 : x > y ? 1 : 0)
        expect(compare(minimum(a, b), maximum(a, b))).toBeLessThanOrEqual(0)
        expect(isNegative(absolute(a))).toBe(false)
        expect(isZero(add(a, negate(a)))).toBe(true)
      }),
    )
  })

  it('writes canonical text', () => {
    expect(toText(decimal('65.50'))).toBe('65.5')
    expect(toText(decimal('-0.00'))).toBe('0')
    expect(toText(decimal('1200'))).toBe('1200')
    expect(toFixedText(decimal('-0.05'))).toBe('-0.05')
    expect(toFixedText(round(decimal('3'), 2))).toBe('3.00')
    expect(toText(fromBigInt(-7n))).toBe('-7')
  })
})

describe('rounding', () => {
  const cases: [RoundingMode, string, string, string, string][] = [
    // mode, of 2.5, -2.5, 2.51, -2.49
    ['halfUp', '3', '-3', '3', '-2'],
    ['halfDown', '2', '-2', '3', '-2'],
    ['halfEven', '2', '-2', '3', '-2'],
    ['up', '3', '-3', '3', '-3'],
    ['down', '2', '-2', '2', '-2'],
    ['ceiling', '3', '-2', '3', '-2'],
    ['floor', '2', '-3', '2', '-3'],
  ]
  it.each(cases)('%s', (mode, ...expected) => {
    const given = ['2.5', '-2.5', '2.51', '-2.49']
    expect(given.map((text) => toText(round(decimal(text), 0, mode)))).toEqual(expected)
  })

  it('halfEven goes to the even neighbour, up or down', () => {
    expect(toText(round(decimal('3.5'), 0, 'halfEven'))).toBe('4')
    expect(toText(round(decimal('-3.5'), 0, 'halfEven'))).toBe('-4')
  })

  it('charges and credits are symmetric under halfUp', () => {
    fc.assert(
      fc.property(anyDecimal, fc.integer({ min: 0, max: 6 }), (a, digits) => {
        expect(round(negate(a), digits)).toEqual(negate(round(a, digits)))
      }),
    )
  })

  it('is off by half a unit at most', () => {
    fc.assert(
      fc.property(anyDecimal, fc.integer({ min: 0, max: 6 }), (a, digits) => {
        const off = absolute(subtract(round(a, digits), a))
        expect(compare(off, { coefficient: 5n, scale: digits + 1 })).toBeLessThanOrEqual(0)
      }),
    )
  })

  it('rounds before the point', () => {
    expect(toText(roundToPlace(decimal('123.456'), -2))).toBe('100')
    expect(toText(roundToPlace(decimal('123.456'), -2, 'ceiling'))).toBe('200')
    expect(toText(roundToPlace(decimal('123.456'), 1))).toBe('123.5')
  })

  it('divides by what is negative, never by zero', () => {
    expect(divideRounded(7n, -2n, 'halfUp')).toBe(-4n)
    expect(toText(divide(decimal('29.95'), decimal('2'), 2))).toBe('14.98')
    expect(() => divideRounded(1n, 0n, 'halfUp')).toThrow(RangeError)
  })
})
