import type { Commitment } from '../catalog/price.ts'
import { shareOf } from '../money/allocate.ts'
import { add, compare, type Decimal, maximum, ONE, round, subtract, ZERO } from '../money/decimal.ts'
import type { Rational } from '../money/rational.ts'
import { amountLine, ratedLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'

/**
 * What a commitment adds to a period's amount: beyond it, the difference of the overage rate to the price, on what goes
 * beyond; below it, what is missing, once the period is over.
 */
export function commitmentLines(commitment: Commitment, sum: Decimal, periodCloses: boolean): RatedLine[] {
  const { amount, overageFactor, trueUp } = commitment
  if (compare(sum, amount) > 0) {
    return [ratedLine('overage', subtract(sum, amount), subtract(overageFactor, ONE))]
  }
  return trueUp && periodCloses && compare(sum, amount) < 0
    ? [amountLine('trueUp', subtract(amount, sum))]
    : []
}

/** What is left of a commitment that runs through several periods. What was used before counts by the price alone. */
export function commitmentLeft(commitment: Commitment, usedBefore: Decimal): Commitment {
  return { ...commitment, amount: maximum(ZERO, subtract(commitment.amount, usedBefore)) }
}

/**
 * What is missing to an amount that several charges of a period are committed to together. The commitment holds for a whole
 * period: where only a share of it is served, that share of the commitment. Both are rounded before they are compared, so
 * that used and missing add up to the commitment.
 * @param used amounts that count towards it
 */
export function missingToCommitment(
  committed: Decimal,
  share: Rational,
  used: readonly Decimal[],
  digits: number,
): Decimal {
  const sum = used.reduce((total, amount) => add(total, round(amount, digits)), ZERO)
  return maximum({ coefficient: 0n, scale: digits }, subtract(shareOf(committed, share, digits), sum))
}
