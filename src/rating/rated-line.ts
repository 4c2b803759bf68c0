import { type Decimal, multiply, ONE, pow10 } from '../money/decimal.ts'
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
  const [first] = lines
  if (first !== undefined && lines.length === 1) return first.amount
  let coefficient = 0n
  let scale = 0
  for (const { amount } of lines) {
    // Lines of one price mostly have one scale: then this is an addition each, and nothing is made on the way.
    if (amount.scale > scale) {
      coefficient *= pow10(amount.scale - scale)
      scale = amount.scale
    }
    coefficient +=
      amount.scale === scale ? amount.coefficient : amount.coefficient * pow10(scale - amount.scale)
  }
  return { coefficient, scale }
}
