import { compare, type Decimal, subtract, ZERO } from '../money/decimal.ts'

/** The share of a quantity that lies in one tier. */
export interface TierSlice<T> {
  readonly tier: T
  /** 1 is the first tier. */
  readonly number: number
  readonly quantity: Decimal
}

interface Bounded {
  readonly upTo: Decimal | null
}

/**
 * Cuts a quantity at the tiers' ends. An end belongs to the tier it closes: 5 lies in a tier up to 5, 5.001 reaches the
 * next. Tiers that the quantity does not reach are left out; a quantity of 0 reaches none.
 */
export function tierSlices<T extends Bounded>(tiers: readonly T[], quantity: Decimal): TierSlice<T>[] {
  const slices: TierSlice<T>[] = []
  let start = ZERO
  for (let i = 0; i < tiers.length; i++) {
    const tier = tiers[i]
    if (tier === undefined || compare(quantity, start) <= 0) break
    const end = tier.upTo === null || compare(quantity, tier.upTo) <= 0 ? quantity : tier.upTo
    slices.push({ tier, number: i + 1, quantity: subtract(end, start) })
    if (end === quantity) break
    start = end
  }
  return slices
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
    if (upTo === null || compare(quantity, upTo) <= 0) high = middle
    else low = middle + 1
  }
  const tier = tiers[low]
  if (tier === undefined || (tier.upTo !== null && compare(quantity, tier.upTo) > 0)) {
    throw new RangeError('the last tier of a price has no end')
  }
  return { tier, number: low + 1 }
}
