import type { GraduatedPrice } from '../catalog/price.ts'
import { type Decimal, isZero } from '../money/decimal.ts'
import { begunPackages } from './package.ts'
import { amountLine, ratedLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'
import { quantityInTier, tierReached } from './tiers.ts'

/**
 * Each unit at the amount of its own tier, and the flat amount of each tier that is entered once. At zero usage no tier
 * is entered; `flatFeeOnZeroUsage` makes the first tier's flat amount due all the same.
 */
export function rateGraduated(price: GraduatedPrice, quantity: Decimal): RatedLine[] {
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
    const { unitAmount, flatAmount, packageSize } = tier
    if (unitAmount !== null) {
      lines.push(
        packageSize === null
          ? ratedLine('tierUsage', inTier, unitAmount, number)
          : ratedLine('tierPackages', begunPackages(inTier, packageSize), unitAmount, number),
      )
    }
    if (flatAmount !== null) lines.push(amountLine('tierFlat', flatAmount, number))
  }
  return lines
}
