import type { ChargeTerms, PercentageTier, Price, Tier } from '../../src/catalog/price.ts'
import { type Currency, parseCurrency } from '../../src/money/currency.ts'
import { add, type Decimal, decimal, divide, toText, ZERO } from '../../src/money/decimal.ts'
import { type Rational, rational, rationalOf, multiplyRational } from '../../src/money/rational.ts'
import { rate } from '../../src/rating/rate.ts'
import type { Rated, RatingOutcome } from '../../src/rating/rating-outcome.ts'
import type { RatingRequest } from '../../src/rating/rating-request.ts'
import { type Instant, instantOf, type Interval, parseInstant } from '../../src/time/instant.ts'
import type { Field } from './vector.ts'

/** A price with nothing around it. */
export function bare(price: Price): ChargeTerms {
  return {
    price,
    conversion: null,
    discounts: [],
    minimum: null,
    maximum: null,
    commitment: null,
    proration: 'actualDays',
  }
}

export function currencyOf(code: string): Currency {
  const currency = parseCurrency(code.toUpperCase())
  if (currency === null) throw new Error(`no currency ${code}`)
  return currency
}

export function rated(outcome: RatingOutcome): Rated {
  if (outcome.kind === 'refused') throw new Error(`${outcome.error.pointer}: ${outcome.error.detail}`)
  return outcome
}

export function rateOf(
  terms: ChargeTerms,
  quantity: Decimal,
  more: Partial<RatingRequest> = {},
  currency = 'USD',
): Rated {
  return rated(rate({ ...terms, currency: currencyOf(currency), quantity, ...more }))
}

/** What a price alone comes to, not rounded. */
export function exactAmount(price: Price, quantity: Decimal): Decimal {
  return rateOf(bare(price), quantity).exactAmount
}

export function decimalOf(field: Field): Decimal {
  return decimal(field.text())
}

export function optionalDecimal(field: Field): Decimal | null {
  return field.exists ? decimalOf(field) : null
}

export function decimals(field: Field): Decimal[] {
  return field.list().map(decimalOf)
}

export function sumOf(amounts: readonly Decimal[]): Decimal {
  return amounts.reduce(add, ZERO)
}

export function texts(amounts: readonly Decimal[]): string[] {
  return amounts.map(toText)
}

/** Percent as a share: 12.5 is 0.125. */
export function shareOfPercent(percent: Decimal): Decimal {
  return { coefficient: percent.coefficient, scale: percent.scale + 2 }
}

/** `5/7`; without one the whole. */
export function fractionOf(field: Field): Rational {
  if (!field.exists) return rational(1n, 1n)
  const [numerator, denominator] = field.text().split('/').map(decimal)
  if (numerator === undefined || denominator === undefined) throw new Error(`${field.path} is no fraction`)
  const { numerator: n, denominator: d } = rationalOf(denominator)
  return multiplyRational(rationalOf(numerator), rational(d, n))
}

/** Midnight in UTC of a date, or an instant. */
export function instantAt(text: string): Instant {
  const at = parseInstant(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text)
  if (at === null) throw new Error(`not a date of a vector: ${text}`)
  return at
}

export function intervalOf(field: Field): Interval {
  const [start, end] = field.list().map((at) => instantAt(at.text()))
  if (start === undefined || end === undefined) throw new Error(`${field.path} is no interval`)
  return { start, end }
}

export function dateText(at: Instant): string {
  return new Date(at).toISOString().slice(0, 10)
}

export function daysAfter(at: Instant, days: number): Instant {
  return instantOf(at + days * 86_400_000)
}

/**
 * The members of a probe that a peer failed: what is right. Of other vectors the expected value itself. What the peer
 * answers instead is read, so that it counts as known, and never compared.
 */
export function wanted(vector: Field): Field {
  const expected = vector.at('expected')
  if (!expected.at('correct').exists) return expected
  expected.describes('peer_actual')
  return expected.at('correct')
}

/** How the tiers of a vector name their members. */
export interface TierMembers {
  readonly unit: string
  readonly flat: string
}

export function tiersOf(tiers: Field, { unit, flat }: TierMembers): Tier[] {
  return tiers.list().map((tier) => ({
    upTo: optionalDecimal(tier.at('up_to')),
    unitAmount: optionalDecimal(tier.at(unit)),
    flatAmount: optionalDecimal(tier.at(flat)),
    packageSize: null,
  }))
}

export function percentageTiersOf(tiers: Field): PercentageTier[] {
  return tiers.list().map((tier) => ({
    upTo: optionalDecimal(tier.at('up_to')),
    rate: decimalOf(tier.at('rate_percent')),
    flatAmount: optionalDecimal(tier.at('flat_amount')),
  }))
}

/** A quotient that must have an end: a bound of a tier in other units. */
export function exactQuotient(a: Decimal, b: Decimal): Decimal {
  const quotient = divide(a, b, 18, 'down')
  if (toText(quotient) !== toText(divide(a, b, 18, 'up'))) {
    throw new Error(`${toText(a)} / ${toText(b)} has no end`)
  }
  return quotient
}
