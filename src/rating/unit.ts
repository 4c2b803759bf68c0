import type { UnitPrice } from '../catalog/price.ts'
import { type Decimal, isZero } from '../money/decimal.ts'
import { ratedLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'

/** Every unit at the same amount. Nothing used makes no line. */
export function rateUnit(price: UnitPrice, quantity: Decimal): RatedLine[] {
  return isZero(quantity) ? [] : [ratedLine('usage', quantity, price.unitAmount)]
}
