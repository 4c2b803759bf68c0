import type { ChargeTerms } from '../catalog/price.ts'
import { type Currency, minorUnitDigits } from '../money/currency.ts'
import {
  type Decimal,
  ONE,
  divide,
  divideRounded,
  fromBigInt,
  multiply,
  pow10,
  round,
  toFixedText,
  toText,
} from '../money/decimal.ts'
import { describeLine, explain } from '../rating/explain.ts'
import { rate } from '../rating/rate.ts'
import type { RatingError } from '../rating/rating-outcome.ts'
import type { QuantityGroup, RatingRequest } from '../rating/rating-request.ts'
import type { Charge, DayShare } from './charge.ts'
import type { LineStep } from './invoice.ts'

/** Digits behind the point of an exact amount that has no end, such as a third of a fee. */
const shareDigits = 12

/** What a meter counted for a charge. */
export interface MeteredQuantity {
  /** Revision of the meter that counted. */
  readonly meterRevision: number
  readonly quantity: Decimal
  /** The quantity by the dimensions of a matrix price; empty for others. */
  readonly groups: readonly QuantityGroup[]
  /** Canonical events behind it. */
  readonly events: number
  /** Merkle root over them, hexadecimal; null where none was made. */
  readonly root: string | null
}

/** A charge with its amount: rounded once, with the formula that leads to it. */
export interface RatedCharge {
  readonly charge: Charge
  readonly meterRevision: number | null
  readonly quantity: Decimal
  /** In the currency's digits. */
  readonly amount: Decimal
  readonly exactAmount: Decimal
  readonly steps: readonly LineStep[]
  /** The formula in words. */
  readonly explanation: string
}

export type ChargeRating =
  | { readonly kind: 'rated'; readonly rated: RatedCharge }
  | { readonly kind: 'refused'; readonly charge: Charge; readonly error: RatingError }

/** Rates a charge. A fee has no metered quantity; it is shared out by days where it does not cover its whole period. */
export function rateCharge(
  charge: Charge,
  metered: MeteredQuantity | null,
  currency: Currency,
): ChargeRating {
  const request = ratingRequest(charge, metered, currency)
  const outcome = rate(request)
  if (outcome.kind === 'refused') return { kind: 'refused', charge, error: outcome.error }
  const { billed, whole } = charge.share
  const partly = metered === null && billed !== whole
  const due = metered === null ? shareOf(outcome.exactAmount, charge.share, currency) : outcome
  const formula = explain(outcome, request)
  return {
    kind: 'rated',
    rated: {
      charge,
      meterRevision: metered?.meterRevision ?? null,
      quantity: request.quantity,
      amount: due.amount,
      exactAmount: due.exactAmount,
      steps: outcome.lines.map((line) => ({
        kind: line.kind,
        description: describeLine(line, request),
        quantity: toText(line.quantity),
        unitAmount: toText(line.unitAmount),
        amount: toText(line.amount),
      })),
      explanation: partly
        ? `${formula}; ${billed} of ${whole} days: ${toFixedText(due.amount)} ${currency}`
        : formula,
    },
  }
}

function ratingRequest(charge: Charge, metered: MeteredQuantity | null, currency: Currency): RatingRequest {
  const { terms } = charge.price
  if (metered === null) return { ...terms, currency, quantity: ONE }
  return {
    ...withMinimumFor(charge.share, terms),
    currency,
    quantity: metered.quantity,
    ...(terms.price.model === 'matrix' ? { groups: metered.groups } : {}),
    ...(terms.price.model === 'percentage' ? { events: { kind: 'count', count: metered.events } } : {}),
  }
}

/**
 * The part of a fee that falls on its days. The amount is the difference of two rounded cumulative shares, so that the
 * parts of one period add up to the whole fee to the cent.
 */
function shareOf(
  fee: Decimal,
  { before, billed, whole }: DayShare,
  currency: Currency,
): { readonly amount: Decimal; readonly exactAmount: Decimal } {
  const digits = minorUnitDigits(currency)
  const upTo = (days: number): bigint => {
    const scale = Math.max(fee.scale, digits)
    const coefficient = round(fee, scale).coefficient * BigInt(days)
    return divideRounded(coefficient, BigInt(whole) * pow10(scale - digits), 'halfUp')
  }
  const exactAmount =
    billed === whole
      ? fee
      : divide(multiply(fee, fromBigInt(BigInt(billed))), fromBigInt(BigInt(whole)), shareDigits)
  return { amount: { coefficient: upTo(before + billed) - upTo(before), scale: digits }, exactAmount }
}

/** A minimum is agreed for a whole period: where the price runs for some of its days, that share of it. */
function withMinimumFor({ billed, whole }: DayShare, terms: ChargeTerms): ChargeTerms {
  if (terms.minimum === null || billed === whole) return terms
  const share = divide(
    multiply(terms.minimum, fromBigInt(BigInt(billed))),
    fromBigInt(BigInt(whole)),
    shareDigits,
  )
  return { ...terms, minimum: share }
}
