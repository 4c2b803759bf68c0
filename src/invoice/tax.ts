import { allocate, shareOf } from '../money/allocate.ts'
import {
  add,
  type Decimal,
  divide,
  isZero,
  multiply,
  ONE,
  round,
  type RoundingMode,
  subtract,
  ZERO,
} from '../money/decimal.ts'
import type { Rational } from '../money/rational.ts'
import { multiplyRational, rationalOf, roundRational } from '../money/rational.ts'

/** Where tax is rounded: once for each rate over all lines (EN 16931, BR-CO-17), or on each line. */
export type TaxRounding = 'group' | 'line'

/** What is taxed, after discounts, and the rates it is taxed with: shares, 0.19 is nineteen percent. */
export interface TaxedLine {
  readonly amount: Decimal
  readonly rates: readonly Decimal[]
}

export interface TaxBreakdown {
  readonly byRate: readonly { readonly rate: Decimal; readonly base: Decimal; readonly tax: Decimal }[]
  /** Tax of each line; the lines add up to the total. */
  readonly byLine: readonly Decimal[]
  readonly total: Decimal
}

/**
 * Tax on amounts without it. Rates of one line add up; none is taken on another. Rounded half away from zero, by rate or by
 * line; by rate, each rate's tax is shared out to its lines by largest remainder.
 */
export function taxExclusive(
  lines: readonly TaxedLine[],
  rounding: TaxRounding,
  digits: number,
): TaxBreakdown {
  const nothing: Decimal = { coefficient: 0n, scale: digits }
  const byLine = lines.map(() => nothing)
  const byRate = distinctRates(lines).map((rate) => {
    const taxed = lines.map(({ amount, rates }) =>
      rates.some((other) => isSame(other, rate)) ? amount : ZERO,
    )
    const base = taxed.reduce(add, ZERO)
    const taxes =
      rounding === 'line'
        ? taxed.map((amount) => round(multiply(amount, rate), digits))
        : shared(round(multiply(base, rate), digits), taxed, digits)
    taxes.forEach((tax, i) => (byLine[i] = add(byLine[i] ?? nothing, tax)))
    return { rate, base, tax: taxes.reduce(add, nothing) }
  })
  return { byRate, byLine, total: byRate.reduce((sum, { tax }) => add(sum, tax), nothing) }
}

/**
 * The tax within an amount that includes it: `gross * sum / (1 + sum)`, rounded once and shared out over the rates. The
 * mode is a property of the rate: Japan commonly rounds down.
 */
export function taxInclusive(
  gross: Decimal,
  rates: readonly Decimal[],
  digits: number,
  mode: RoundingMode = 'halfUp',
): { readonly net: Decimal; readonly taxes: readonly Decimal[] } {
  const sum = rates.reduce(add, ZERO)
  const tax = divide(multiply(gross, sum), add(ONE, sum), digits, mode)
  return { net: subtract(round(gross, digits), tax), taxes: shared(tax, rates, digits) }
}

/** What a credit note for a share of a line comes to. */
export interface CreditedAmounts {
  readonly net: Decimal
  readonly tax: Decimal
  readonly total: Decimal
}

/**
 * Credits a share of what was invoiced. Its tax follows from the net amount before that is rounded, with the rate that was
 * invoiced; the total is the sum of the two rounded amounts.
 */
export function creditShare(net: Decimal, share: Rational, rate: Decimal, digits: number): CreditedAmounts {
  const credited = shareOf(net, share, digits)
  const exactTax = multiplyRational(multiplyRational(rationalOf(net), share), rationalOf(rate))
  const tax = roundRational(exactTax, digits)
  return { net: credited, tax, total: add(credited, tax) }
}

function shared(tax: Decimal, weights: readonly Decimal[], digits: number): Decimal[] {
  const magnitudes = weights.map(({ coefficient, scale }) => ({
    coefficient: coefficient < 0n ? -coefficient : coefficient,
    scale,
  }))
  if (magnitudes.every(isZero)) return weights.map(() => ({ coefficient: 0n, scale: digits }))
  return allocate(tax, magnitudes, digits)
}

function distinctRates(lines: readonly TaxedLine[]): Decimal[] {
  const rates: Decimal[] = []
  for (const rate of lines.flatMap((line) => line.rates)) {
    if (!rates.some((other) => isSame(other, rate))) rates.push(rate)
  }
  return rates
}

function isSame(a: Decimal, b: Decimal): boolean {
  return isZero(subtract(a, b))
}
