import { add, type Decimal, multiply, ONE, ZERO } from '../money/decimal.ts'
import type { RatedLine, RatedLineKind } from './rating-outcome.ts'

/** A line of `quantity * unitAmount`. @param tier 1 is the first; 0 where there are no tiers */
export function ratedLine(
  kind: RatedLineKind,
  quantity: Decimal,
  unitAmount: Decimal,
  tier: number = 0,
): RatedLine {
  return { kind, tier, quantity, unitAmount, amount: multiply(quantity, unitAmount) }
}

/** A line of one amount that is due once. */
export function amountLine(kind: RatedLineKind, amount: Decimal, tier: number = 0): RatedLine {
  return { kind, tier, quantity: ONE, unitAmount: amount, amount }
}

/** The exact sum of the lines' amounts. */
export function sumOfLines(lines: readonly RatedLine[]): Decimal {
  let sum = ZERO
  for (const line of lines) sum = add(sum, line.amount)
  return sum
}
