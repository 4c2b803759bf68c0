import type { Discount } from '../catalog/price.ts'
import { add, type Decimal, isZero, maximum, minimum, negate, subtract, ZERO } from '../money/decimal.ts'
import { amountLine, ratedLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'

/** The units that usage discounts make free, all together. */
export function freeUnitsOf(discounts: readonly Discount[]): Decimal {
  let free = ZERO
  for (const discount of discounts) if (discount.kind === 'usage') free = add(free, discount.units)
  return free
}

/**
 * Percent and amount discounts in the order they are listed, each on what the ones before it left. An amount takes at
 * most what is left: a discount never makes a charge negative.
 */
export function discountLines(discounts: readonly Discount[], sum: Decimal): RatedLine[] {
  const lines: RatedLine[] = []
  let left = sum
  for (const discount of discounts) {
    if (isZero(left)) break
    switch (discount.kind) {
      case 'usage':
        break
      case 'percent': {
        const share: Decimal = {
          coefficient: -discount.percent.coefficient,
          scale: discount.percent.scale + 2,
        }
        const line = ratedLine('percentDiscount', left, share)
        lines.push(line)
        left = add(left, line.amount)
        break
      }
      case 'amount': {
        const taken = maximum(ZERO, minimum(discount.amount, left))
        lines.push(amountLine('amountDiscount', negate(taken)))
        left = subtract(left, taken)
        break
      }
    }
  }
  return lines
}
