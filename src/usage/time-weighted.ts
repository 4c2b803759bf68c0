import { add, type Decimal, fromBigInt, multiply } from '../money/decimal.ts'
import { type Rational, rational, rationalOf } from '../money/rational.ts'
import type { Instant, Interval } from '../time/instant.ts'

/** A change of a level: storage taken up, seats added; less when negative. */
export interface LevelChange {
  readonly at: Instant
  readonly change: Decimal
}

/**
 * The average level over an interval, each level weighted by the time it was held. Changes at the same instant add up;
 * changes outside the interval are the caller's to leave out.
 * @param initial the level at the start
 * @param changes in any order
 */
export function timeWeightedLevel(
  interval: Interval,
  initial: Decimal,
  changes: readonly LevelChange[],
): Rational {
  const lengthMs = BigInt(interval.end - interval.start)
  let weighted = multiply(initial, fromBigInt(lengthMs))
  for (const { at, change } of changes) {
    weighted = add(weighted, multiply(change, fromBigInt(BigInt(interval.end - at))))
  }
  const { numerator, denominator } = rationalOf(weighted)
  return rational(numerator, denominator * lengthMs)
}

/** Units that were held for some of a period's days: what they come to in whole periods. */
export interface HeldUnits {
  readonly units: Decimal
  readonly days: number
}

/** The sum of units, each counted for the share of the period's days that it was held. */
export function dayWeightedUnits(held: readonly HeldUnits[], periodDays: number): Rational {
  const unitDays = held.reduce<Decimal>(
    (sum, { units, days }) => add(sum, multiply(units, fromBigInt(BigInt(days)))),
    fromBigInt(0n),
  )
  const { numerator, denominator } = rationalOf(unitDays)
  return rational(numerator, denominator * BigInt(periodDays))
}
