import { compare, type Decimal, maximum, multiply, subtract, ZERO } from '../money/decimal.ts'

/**
 * What each change of units that are paid in advance for a whole period is billed: only units above the most that was paid
 * for in the period. Fewer units are not refunded, and adding them again costs nothing.
 * @param levels units after each change, in time order
 */
export function billHighWater(unitAmount: Decimal, levels: readonly Decimal[]): Decimal[] {
  let paidFor = ZERO
  return levels.map((level) => {
    const added = compare(level, paidFor) > 0 ? subtract(level, paidFor) : ZERO
    paidFor = maximum(paidFor, level)
    return multiply(unitAmount, added)
  })
}
