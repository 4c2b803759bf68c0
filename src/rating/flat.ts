import type { FlatPrice } from '../catalog/price.ts'
import { amountLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'

/** The amount, whatever was used. */
export function rateFlat(price: FlatPrice): RatedLine[] {
  return [amountLine('flat', price.amount)]
}
