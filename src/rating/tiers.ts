import { type Decimal, isAtMost, subtract } from '../money/decimal.ts'

interface Bounded {
  readonly upTo: Decimal | null
}

/**
 * How much of a quantity lies in one of the tiers that it reaches. An end belongs to the tier that it closes: 5 lies in a
 * tier up to 5, 5.001 reaches the next.
 * @param number of the tier, from 1
 * @param reached number of the tier in which the quantity ends
 */
export function quantityInTier(
  tiers: readonly Bounded[],
  number: number,
  reached: number,
  quantity: Decimal,
): Decimal {
  const end = number === reached ? quantity : endOf(tiers, number)
  return number === 1 ? end : subtract(end, endOf(tiers, number - 1))
}

function endOf(tiers: readonly Bounded[], number: number): Decimal {
  const end = tiers[number - 1]?.upTo
  if (end === null || end === undefined) throw new RangeError('a tier before the last has no end')
  return end
}

/** The tier that a whole quantity reaches, and its number from 1. @throws RangeError when the last tier has an end */
export function tierReached<T extends Bounded>(
  tiers: readonly T[],
  quantity: Decimal,
): { readonly tier: T; readonly number: number } {
  let low = 0
  let high = tiers.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    const upTo = tiers[middle]?.upTo ?? null
    if (upTo === null || isAtMost(quantity, upTo)) high = middle
    else low = middle + 1
  }
  const tier = tiers[low]
  if (tier === undefined || (tier.upTo !== null && !isAtMost(quantity, tier.upTo))) {
    throw new RangeError('the last tier of a price has no end')
  }
  return { tier, number: low + 1 }
}
