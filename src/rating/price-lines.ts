import type { SimplePrice } from '../catalog/price.ts'
import type { Decimal } from '../money/decimal.ts'
import { rateDynamic } from './dynamic.ts'
import { rateFlat } from './flat.ts'
import { rateGraduated } from './graduated.ts'
import { rateGraduatedPercentage } from './graduated-percentage.ts'
import { ratePackage } from './package.ts'
import { ratePercentage } from './percentage.ts'
import type { RatedLine } from './rating-outcome.ts'
import type { EventAmounts } from './rating-request.ts'
import { rateStairstep } from './stairstep.ts'
import { rateUnit } from './unit.ts'
import { rateVolume } from './volume.ts'

/** The lines of a price for a quantity, before discounts and bounds. */
export function priceLines(price: SimplePrice, quantity: Decimal, events?: EventAmounts): RatedLine[] {
  switch (price.model) {
    case 'unit':
      return rateUnit(price, quantity)
    case 'flat':
      return rateFlat(price)
    case 'graduated':
      return rateGraduated(price, quantity)
    case 'volume':
      return rateVolume(price, quantity)
    case 'stairstep':
      return rateStairstep(price, quantity)
    case 'package':
      return ratePackage(price, quantity)
    case 'percentage':
      return ratePercentage(price, quantity, events)
    case 'graduatedPercentage':
      return rateGraduatedPercentage(price, quantity)
    case 'dynamic':
      return rateDynamic(price, quantity)
  }
}
