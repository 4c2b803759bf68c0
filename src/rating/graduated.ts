import type { GraduatedPrice } from '../catalog/price.ts'
import { type Decimal, isZero } from '../money/decimal.ts'
import { begunPackages } from './package.ts'
import { amountLine, ratedLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'
import { tierSlices } from './tier-slices.ts'

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
  for (const slice of tierSlices(price.tiers, quantity)) {
    const { unitAmount, flatAmount, packageSize } = slice.tier
    if (unitAmount !== null) {
      lines.push(
        packageSize === null
          ? ratedLine('tierUsage', slice.quantity, unitAmount, slice.number)
          : ratedLine('tierPackages', begunPackages(slice.quantity, packageSize), unitAmount, slice.number),
      )
    }
    if (flatAmount !== null) lines.push(amountLine('tierFlat', flatAmount, slice.number))
  }
  return lines
}
