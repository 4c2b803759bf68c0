import type { VolumePrice } from '../catalog/price.ts'
import { type Decimal, isZero } from '../money/decimal.ts'
import { amountLine, ratedLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'
import { tierReached } from './tier-slices.ts'

/**
 * Every unit at the amount of the tier that the whole quantity reaches, and that tier's flat amount. The total may fall
 * when the quantity rises into a cheaper tier.
 */
export function rateVolume(price: VolumePrice, quantity: Decimal): RatedLine[] {
  if (isZero(quantity) && !price.flatFeeOnZeroUsage) return []
  const { tier, number } = tierReached(price.tiers, quantity)
  const lines: RatedLine[] = []
  if (tier.unitAmount !== null && !isZero(quantity)) {
    lines.push(ratedLine('volumeUsage', quantity, tier.unitAmount, number))
  }
  if (tier.flatAmount !== null) lines.push(amountLine('volumeFlat', tier.flatAmount, number))
  return lines
}
