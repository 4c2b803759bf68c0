import type { StairstepPrice } from '../catalog/price.ts'
import { type Decimal, isZero } from '../money/decimal.ts'
import { amountLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'
import { tierReached } from './tiers.ts'

/** The one amount of the stair that the whole quantity reaches. Nothing used makes no line. */
export function rateStairstep(price: StairstepPrice, quantity: Decimal): RatedLine[] {
  if (isZero(quantity)) return []
  const { tier, number } = tierReached(price.tiers, quantity)
  return [amountLine('stair', tier.amount, number)]
}
