import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decimal, toText } from '../../src/money/decimal.ts'
import {
  addRational,
  multiplyRational,
  rational,
  rationalOf,
  roundRational,
} from '../../src/money/rational.ts'

const numbers = fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n })
const nonZero = numbers.filter((n) => n !== 0n)

describe('a fraction', () => {
  it('is in lowest terms, with its sign above', () => {
    expect(rational(-6n, -8n)).toEqual({ numerator: 3n, denominator: 4n })
    expect(rational(6n, -8n)).toEqual({ numerator: -3n, denominator: 4n })
    expect(rational(0n, -5n)).toEqual({ numerator: 0n, denominator: 1n })
    expect(() => rational(1n, 0n)).toThrow(RangeError)
  })

  it('adds and multiplies as fractions do', () => {
    fc.assert(
      fc.property(numbers, nonZero, numbers, nonZero, (a, b, c, d) => {
        const sum = addRational(rational(a, b), rational(c, d))
        expect(sum.numerator * b * d).toBe((a * d + c * b) * sum.denominator)
        const product = multiplyRational(rational(a, b), rational(c, d))
        expect(product.numerator * b * d).toBe(a * c * product.denominator)
      }),
    )
  })

  it('is exact of a decimal, and rounded once to digits', () => {
    expect(rationalOf(decimal('0.125'))).toEqual({ numerator: 1n, denominator: 8n })
    const rounded = (n: bigint, d: bigint, digits: number): string =>
      toText(roundRational(rational(n, d), digits))
    expect([rounded(1n, 3n, 4), rounded(2n, 3n, 4), rounded(1n, 8n, 2), rounded(-1n, 8n, 2)]).toEqual([
      '0.3333',
      '0.6667',
      '0.13',
      '-0.13',
    ])
  })
})
