import { shareOf } from '../money/allocate.ts'
import { add, type Decimal, maximum, minimum, multiply, round, subtract, ZERO } from '../money/decimal.ts'
import type { Rational } from '../money/rational.ts'

/**
 * What is missing to a committed amount. The commitment holds for a whole period: where only a share of it is served, that
 * share of the commitment. Both are rounded before they are compared, so that used and missing add up to the commitment.
 * @param used amounts that count towards it
 */
export function trueUp(
  committed: Decimal,
  share: Rational,
  used: readonly Decimal[],
  digits: number,
): Decimal {
  const sum = used.reduce((total, amount) => add(total, round(amount, digits)), ZERO)
  return maximum({ coefficient: 0n, scale: digits }, subtract(shareOf(committed, share, digits), sum))
}

/** An amount that is committed for each window, and what usage beyond it costs. */
export interface Commitment {
  readonly amount: Decimal
  /** Usage beyond the commitment costs this many times its price. */
  readonly overageFactor: Decimal
  /** Whether a window that uses less is charged the whole commitment. */
  readonly trueUp: boolean
}

export interface CommittedCharge {
  readonly amount: Decimal
  /** The part of the amount within the commitment. */
  readonly within: Decimal
  /** The part beyond it, with the factor. */
  readonly overage: Decimal
}

/** One window's charge. @param base what its usage costs by the price alone */
export function windowCharge(base: Decimal, commitment: Commitment): CommittedCharge {
  const used = minimum(base, commitment.amount)
  const overage = multiply(subtract(base, used), commitment.overageFactor)
  const within = commitment.trueUp ? commitment.amount : used
  return { amount: add(within, overage), within, overage }
}

/**
 * What usage costs under a commitment that runs through several periods. What was used before fills the commitment first;
 * it is counted by the price alone, without the factor.
 */
export function cumulativeCharge(before: Decimal, base: Decimal, commitment: Commitment): CommittedCharge {
  const left = maximum(ZERO, subtract(commitment.amount, before))
  return windowCharge(base, { ...commitment, amount: left, trueUp: false })
}
