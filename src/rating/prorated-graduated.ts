import type { GraduatedPrice } from '../catalog/price.ts'
import {
  add,
  compare,
  type Decimal,
  isNegative,
  isZero,
  maximum,
  minimum,
  subtract,
  ZERO,
} from '../money/decimal.ts'
import { addRational, multiplyRational, type Rational, rational, rationalOf } from '../money/rational.ts'

/** A change of the level that is held: seats added, or taken away when negative. */
export interface Movement {
  readonly units: Decimal
  /** The units times the share of the period that they are charged for. */
  readonly charged: Decimal
}

export interface ProratedCharge {
  readonly exact: Rational
  /** The level after the last movement. */
  readonly level: Decimal
}

/**
 * Graduated prices of units that are held for a part of the period. Each movement takes up its own span of the level, from
 * the level before it to the level after, and each tier's share of that span is charged for the movement's share of the
 * period; units taken away are credited from the top. The flat amounts of all tiers up to the highest level are due. A level
 * below zero at the end is owed nothing.
 * @param start the level carried over from the period before
 */
export function rateProratedGraduated(
  price: GraduatedPrice,
  movements: readonly Movement[],
  start: Decimal = ZERO,
): ProratedCharge {
  let level = start
  let highest = start
  let exact = rational(0n, 1n)
  for (const { units, charged } of movements) {
    const before = level
    level = add(level, units)
    highest = maximum(highest, level)
    if (isZero(units)) continue
    const span = amountBetween(price, minimum(before, level), maximum(before, level))
    // The units' own sign is in what they are charged for: the share of the period is positive.
    const share = multiplyRational(
      rationalOf(charged),
      inverse(rationalOf(isNegative(units) ? negated(units) : units)),
    )
    exact = addRational(exact, multiplyRational(span, share))
  }
  if (isNegative(level)) return { exact: rational(0n, 1n), level }
  return { exact: addRational(exact, rationalOf(flatAmounts(price, highest))), level }
}

/** What the units between two levels cost, each at the amount of its own tier. */
function amountBetween(price: GraduatedPrice, from: Decimal, to: Decimal): Rational {
  let sum = rational(0n, 1n)
  let start = ZERO
  for (const { upTo, unitAmount } of price.tiers) {
    const low = maximum(from, start)
    const high = upTo === null ? to : minimum(to, upTo)
    if (compare(high, low) > 0 && unitAmount !== null) {
      sum = addRational(sum, multiplyRational(rationalOf(subtract(high, low)), rationalOf(unitAmount)))
    }
    if (upTo === null) break
    start = upTo
  }
  return sum
}

function flatAmounts(price: GraduatedPrice, highest: Decimal): Decimal {
  let sum = ZERO
  let start = ZERO
  for (const [i, { upTo, flatAmount }] of price.tiers.entries()) {
    const entered = compare(highest, start) > 0 || (i === 0 && price.flatFeeOnZeroUsage)
    if (entered && flatAmount !== null) sum = add(sum, flatAmount)
    if (upTo === null) break
    start = upTo
  }
  return sum
}

function inverse(value: Rational): Rational {
  return rational(value.denominator, value.numerator)
}

function negated({ coefficient, scale }: Decimal): Decimal {
  return { coefficient: -coefficient, scale }
}
