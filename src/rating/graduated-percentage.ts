import type { GraduatedPercentagePrice } from '../catalog/price.ts'
import { type Decimal, isZero } from '../money/decimal.ts'
import { amountLine, ratedLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'
import { quantityInTier, tierReached } from './tiers.ts'

/** Each part of an amount of money at the rate of its own tier, and the flat amount of each tier that is entered. */
export function rateGraduatedPercentage(price: GraduatedPercentagePrice, quantity: Decimal): RatedLine[] {
  if (isZero(quantity)) {
    const flat = price.flatFeeOnZeroUsage ? (price.tiers[0]?.flatAmount ?? null) : null
    return flat === null ? [] : [amountLine('tierFlat', flat, 1)]
  }
  const lines: RatedLine[] = []
  const reached = tierReached(price.tiers, quantity).number
  let number = 0
  for (const tier of price.tiers) {
    if (++number > reached) break
    const inTier = quantityInTier(price.tiers, number, reached, quantity)
    const { rate, flatAmount } = tier
    const share: Decimal = { coefficient: rate.coefficient, scale: rate.scale + 2 }
    lines.push(ratedLine('percentage', inTier, share, number))
    if (flatAmount !== null) lines.push(amountLine('tierFlat', flatAmount, number))
  }
  return lines
}
