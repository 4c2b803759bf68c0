import type { ChargeTerms, Discount, SimplePrice } from '../../src/catalog/price.ts'
import type { Decimal } from '../../src/money/decimal.ts'

/**
 * What a charge comes to, by its definition and in fractions: no code of the product takes part. Every tier is summed up,
 * nothing is searched, nothing is rounded before the end.
 */
export interface Fraction {
  readonly n: bigint
  readonly d: bigint
}

const ZERO: Fraction = { n: 0n, d: 1n }
const ONE: Fraction = { n: 1n, d: 1n }

export function fraction({ coefficient, scale }: Decimal): Fraction {
  return { n: coefficient, d: 10n ** BigInt(scale) }
}

const plus = (a: Fraction, b: Fraction): Fraction => ({ n: a.n * b.d + b.n * a.d, d: a.d * b.d })
const minus = (a: Fraction, b: Fraction): Fraction => ({ n: a.n * b.d - b.n * a.d, d: a.d * b.d })
const times = (a: Fraction, b: Fraction): Fraction => ({ n: a.n * b.n, d: a.d * b.d })
const isLess = (a: Fraction, b: Fraction): boolean => a.n * b.d < b.n * a.d
const least = (a: Fraction, b: Fraction): Fraction => (isLess(a, b) ? a : b)
const most = (a: Fraction, b: Fraction): Fraction => (isLess(a, b) ? b : a)
const percentOf = (rate: Decimal): Fraction => times(fraction(rate), { n: 1n, d: 100n })
const orZero = (amount: Decimal | null): Fraction => (amount === null ? ZERO : fraction(amount))

export function isEqual(a: Fraction, b: Fraction): boolean {
  return a.n * b.d === b.n * a.d
}

function ceiling({ n, d }: Fraction): Fraction {
  return { n: (n + d - 1n) / d, d: 1n }
}

/** Of 0 or more. */
function packages(units: Fraction, size: Decimal): Fraction {
  const { n, d } = fraction(size)
  return ceiling(times(units, { n: d, d: n }))
}

interface Bounded {
  readonly upTo: Decimal | null
}

function lowerEnd(tiers: readonly Bounded[], i: number): Fraction {
  return orZero(tiers[i - 1]?.upTo ?? null)
}

/** How much of the units lies in each tier. */
function inTiers(tiers: readonly Bounded[], units: Fraction): Fraction[] {
  return tiers.map(({ upTo }, i) => {
    const end = upTo === null ? units : least(units, fraction(upTo))
    return most(ZERO, minus(end, lowerEnd(tiers, i)))
  })
}

/** The first tier whose end is not passed. */
function tierOf(tiers: readonly Bounded[], units: Fraction): number {
  return tiers.findIndex(({ upTo }) => upTo === null || !isLess(fraction(upTo), units))
}

/** The price of units of 0 or more. */
function priceOf(price: SimplePrice, units: Fraction): Fraction {
  const used = units.n > 0n
  switch (price.model) {
    case 'flat':
      return fraction(price.amount)
    case 'unit':
      return times(units, fraction(price.unitAmount))
    case 'dynamic':
      return times(units, fraction(price.multiplier))
    case 'package':
      return times(
        packages(most(ZERO, minus(units, fraction(price.freeUnits))), price.packageSize),
        fraction(price.amount),
      )
    case 'stairstep':
      return used ? orZero(price.tiers[tierOf(price.tiers, units)]?.amount ?? null) : ZERO
    case 'graduated':
      return inTiers(price.tiers, units).reduce((sum, part, i) => {
        const tier = price.tiers[i]
        if (tier === undefined) return sum
        const entered = part.n > 0n || (i === 0 && !used && price.flatFeeOnZeroUsage)
        const blocks = tier.packageSize === null ? part : packages(part, tier.packageSize)
        const flat = entered ? orZero(tier.flatAmount) : ZERO
        return plus(sum, plus(times(blocks, orZero(tier.unitAmount)), flat))
      }, ZERO)
    case 'volume': {
      const tier = price.tiers[tierOf(price.tiers, units)]
      if (tier === undefined || (!used && !price.flatFeeOnZeroUsage)) return ZERO
      const blocks = tier.packageSize === null ? units : packages(units, tier.packageSize)
      return plus(times(blocks, orZero(tier.unitAmount)), orZero(tier.flatAmount))
    }
    case 'graduatedPercentage':
      return inTiers(price.tiers, units).reduce((sum, part, i) => {
        const tier = price.tiers[i]
        if (tier === undefined) return sum
        const entered = part.n > 0n || (i === 0 && !used && price.flatFeeOnZeroUsage)
        return plus(sum, plus(times(part, percentOf(tier.rate)), entered ? orZero(tier.flatAmount) : ZERO))
      }, ZERO)
    case 'percentage': {
      // One event of the whole quantity: free altogether when its free part holds it.
      const charged = minus(units, fraction(price.freeUnits))
      if (!used || (price.freeUnits.coefficient > 0n && charged.n <= 0n)) return ZERO
      if (price.freeEvents > 0 && price.freeUnits.coefficient === 0n) return ZERO
      const cost = plus(times(charged, percentOf(price.rate)), fraction(price.fixedAmount))
      const { min = null, max = null } = price.perEvent ?? {}
      const floored = min === null ? cost : most(cost, fraction(min))
      return max === null ? floored : least(floored, fraction(max))
    }
  }
}

function discounted(sum: Fraction, discount: Discount): Fraction {
  switch (discount.kind) {
    case 'usage':
      return sum
    case 'percent':
      return times(sum, minus(ONE, percentOf(discount.percent)))
    case 'amount':
      return minus(sum, least(sum, fraction(discount.amount)))
  }
}

/** A whole period's charge, exact. Conversions and matrices are left to tests of their own. */
export function chargeOf(terms: ChargeTerms, units: Fraction): Fraction {
  if (terms.price.model === 'matrix') throw new Error('not by this oracle')
  const free = terms.discounts.reduce(
    (sum, discount) => (discount.kind === 'usage' ? plus(sum, fraction(discount.units)) : sum),
    ZERO,
  )
  const charged = terms.price.model === 'flat' ? units : most(ZERO, minus(units, free))
  let sum = terms.discounts.reduce(discounted, priceOf(terms.price, charged))
  if (terms.commitment !== null) {
    const committed = fraction(terms.commitment.amount)
    if (isLess(committed, sum)) {
      sum = plus(committed, times(minus(sum, committed), fraction(terms.commitment.overageFactor)))
    } else if (terms.commitment.trueUp) sum = committed
  }
  if (terms.maximum !== null) sum = least(sum, fraction(terms.maximum))
  if (terms.minimum !== null) sum = most(sum, fraction(terms.minimum))
  return sum
}

/** In units of the last of `digits` digits, half away from zero. */
export function roundedHalfAway({ n, d }: Fraction, digits: number): bigint {
  const scaled = (n < 0n ? -n : n) * 10n ** BigInt(digits)
  const magnitude = (2n * scaled + d) / (2n * d)
  return n < 0n ? -magnitude : magnitude
}
