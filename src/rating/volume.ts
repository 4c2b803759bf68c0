import type { VolumePrice } from '../catalog/price.ts'
import { type Decimal, isZero } from '../money/decimal.ts'
import { begunPackages } from './package.ts'
import { amountLine, ratedLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'
import { tierReached } from './tiers.ts'

/**
 * Every unit at the amount of the tier that the whole quantity reaches, and that tier's flat amount. The total may fall
 * when the quantity rises into a cheaper tier.
 * @param reaching chooses the tier: units that are charged for a part of the period choose it as whole units
 */
export function rateVolume(price: VolumePrice, quantity: Decimal, reaching: Decimal = quantity): RatedLine[] {
  if (isZero(reaching) && !price.flatFeeOnZeroUsage) return []
  const { tier, number } = tierReached(price.tiers, reaching)
  const { unitAmount, flatAmount, packageSize } = tier
  const lines: RatedLine[] = []
  if (unitAmount !== null && !isZero(quantity)) {
    lines.push(
      packageSize === null
        ? ratedLine('volumeUsage', quantity, unitAmount, number)
        : ratedLine('volumePackages', begunPackages(quantity, packageSize), unitAmount, number),
    )
  }
  if (flatAmount !== null) lines.push(amountLine('volumeFlat', flatAmount, number))
  return lines
}
