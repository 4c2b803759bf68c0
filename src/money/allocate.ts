import { compare, type Decimal, divideRounded, isNegative, pow10, round } from './decimal.ts'
import type { Rational } from './rational.ts'

/**
 * Shares out an amount by weights, in units of the last of `digits` digits: largest remainder, ties to the lowest index.
 * The shares add up to the amount, which is rounded to those digits first.
 * @throws RangeError when a weight is negative or none is above 0
 */
export function allocate(amount: Decimal, weights: readonly Decimal[], digits: number): Decimal[] {
  const scale = weights.reduce((most, weight) => Math.max(most, weight.scale), 0)
  const shares = weights.map((weight) => weight.coefficient * pow10(scale - weight.scale))
  const whole = shares.reduce((sum, share) => sum + share, 0n)
  if (whole === 0n || weights.some(isNegative))
    throw new RangeError('weights are 0 or more, and one is above 0')
  const total = round(amount, digits).coefficient
  const magnitude = total < 0n ? -total : total
  const sign = total < 0n ? -1n : 1n
  const parts = shares.map((share) => (magnitude * share) / whole)
  const remainders = shares.map((share, index) => ({ index, remainder: (magnitude * share) % whole }))
  remainders.sort((a, b) =>
    a.remainder === b.remainder ? a.index - b.index : a.remainder > b.remainder ? -1 : 1,
  )
  let left = magnitude - parts.reduce((sum, part) => sum + part, 0n)
  for (const { index } of remainders) {
    if (left === 0n) break
    parts[index] = (parts[index] ?? 0n) + 1n
    left -= 1n
  }
  return parts.map((part) => ({ coefficient: sign * part, scale: digits }))
}

/**
 * Splits an amount at growing shares of it (the last is usually 1) by cumulative rounding: each part is the rounded amount
 * up to its share less the parts before. The parts add up to the rounded amount, and none is off by more than one unit.
 */
export function splitCumulatively(amount: Decimal, shares: readonly Rational[], digits: number): Decimal[] {
  let before = 0n
  return shares.map((share) => {
    const upTo = shareOf(amount, share, digits).coefficient
    const part = upTo - before
    before = upTo
    return { coefficient: part, scale: digits }
  })
}

/** A share of an amount, rounded once, half away from zero. */
export function shareOf(amount: Decimal, share: Rational, digits: number): Decimal {
  const excess = amount.scale - digits
  const numerator = amount.coefficient * share.numerator
  return excess > 0
    ? { coefficient: divideRounded(numerator, share.denominator * pow10(excess), 'halfUp'), scale: digits }
    : { coefficient: divideRounded(numerator * pow10(-excess), share.denominator, 'halfUp'), scale: digits }
}

/**
 * Takes an amount from the parts in their order, each as far as it goes. Amount and parts are 0 or more.
 * @returns what was taken from each, and what no part could give
 */
export function takeInOrder(
  amount: Decimal,
  parts: readonly Decimal[],
): { readonly taken: Decimal[]; readonly left: Decimal } {
  let left = amount
  const taken = parts.map((part): Decimal => {
    const scale = Math.max(left.scale, part.scale)
    const share = compare(part, left) < 0 ? part : left
    left = {
      coefficient:
        left.coefficient * pow10(scale - left.scale) - share.coefficient * pow10(scale - share.scale),
      scale,
    }
    return share
  })
  return { taken, left }
}
