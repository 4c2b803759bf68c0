import type { PackagePrice } from '../catalog/price.ts'
import { compare, type Decimal, divide, isZero, subtract } from '../money/decimal.ts'
import { ratedLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'

/** The amount for each begun package of what goes beyond the free units. */
export function ratePackage(price: PackagePrice, quantity: Decimal): RatedLine[] {
  if (compare(quantity, price.freeUnits) <= 0) return []
  const charged = isZero(price.freeUnits) ? quantity : subtract(quantity, price.freeUnits)
  return [ratedLine('packages', begunPackages(charged, price.packageSize), price.amount)]
}

/** Whole packages that hold the quantity: a begun one counts. */
export function begunPackages(quantity: Decimal, packageSize: Decimal): Decimal {
  return divide(quantity, packageSize, 0, 'up')
}
