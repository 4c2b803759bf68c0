import type { DynamicPrice } from '../catalog/price.ts'
import { type Decimal, isZero } from '../money/decimal.ts'
import { ratedLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'

/** The quantity is an amount of money; the multiplier is the margin on it. */
export function rateDynamic(price: DynamicPrice, quantity: Decimal): RatedLine[] {
  return isZero(quantity) ? [] : [ratedLine('dynamic', quantity, price.multiplier)]
}
