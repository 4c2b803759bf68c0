import { type Decimal, divideRounded, pow10, type RoundingMode } from './decimal.ts'

/** An exact fraction, for shares that no decimal can hold: 14 of 31 days. The denominator is above 0. */
export interface Rational {
  readonly numerator: bigint
  readonly denominator: bigint
}

/** In lowest terms. @throws RangeError when the denominator is 0 */
export function rational(numerator: bigint, denominator: bigint): Rational {
  if (denominator === 0n) throw new RangeError('a fraction needs a denominator other than 0')
  const divisor = greatestCommonDivisor(numerator, denominator)
  const sign = denominator < 0n ? -1n : 1n
  return { numerator: (sign * numerator) / divisor, denominator: (sign * denominator) / divisor }
}

export function rationalOf(value: Decimal): Rational {
  return rational(value.coefficient, pow10(value.scale))
}

export function addRational(a: Rational, b: Rational): Rational {
  return rational(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator)
}

export function multiplyRational(a: Rational, b: Rational): Rational {
  return rational(a.numerator * b.numerator, a.denominator * b.denominator)
}

/** The decimal of `scale` digits behind the point, rounded once. */
export function roundRational(value: Rational, scale: number, mode: RoundingMode = 'halfUp'): Decimal {
  return { coefficient: divideRounded(value.numerator * pow10(scale), value.denominator, mode), scale }
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let x = a < 0n ? -a : a
  let y = b < 0n ? -b : b
  while (y !== 0n) [x, y] = [y, x % y]
  return x
}
