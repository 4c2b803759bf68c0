import type { ChargeTerms } from '../catalog/price.ts'
import type { Currency } from '../money/currency.ts'
import { type Decimal, ONE, toFixedText, toText } from '../money/decimal.ts'
import { describeLine, explain } from '../rating/explain.ts'
import { rate } from '../rating/rate.ts'
import type { RatingError } from '../rating/rating-outcome.ts'
import type { QuantityGroup, RatingRequest } from '../rating/rating-request.ts'
import type { Charge } from './charge.ts'
import type { LineStep } from './invoice.ts'
import { feeShare, scaled, shareText } from './service-share.ts'

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

/** Rates a charge. A fee has no metered quantity; it is shared out where it does not cover its whole period. */
export function rateCharge(
  charge: Charge,
  metered: MeteredQuantity | null,
  currency: Currency,
): ChargeRating {
  const request = ratingRequest(charge, metered, currency)
  const outcome = rate(request)
  if (outcome.kind === 'refused') return { kind: 'refused', charge, error: outcome.error }
  const due = metered === null ? feeShare(outcome.exactAmount, charge.share, currency) : outcome
  const formula = explain(outcome, request)
  const shared = shareWords(charge, due.amount, currency)
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
      explanation: shared === null ? formula : `${formula}; ${shared}`,
    },
  }
}

function ratingRequest(charge: Charge, metered: MeteredQuantity | null, currency: Currency): RatingRequest {
  const { terms } = charge.price
  if (metered === null) return { ...terms, currency, quantity: ONE }
  return {
    ...termsOfShare(charge),
    currency,
    quantity: metered.quantity,
    ...(terms.price.model === 'matrix' ? { groups: metered.groups } : {}),
    ...(terms.price.model === 'percentage' ? { events: { kind: 'count', count: metered.events } } : {}),
  }
}

/** What is agreed for a whole period holds, where the price runs for a part of it, for that share of it. */
function termsOfShare({ price: { terms }, share }: Charge): ChargeTerms {
  if (share.billed === share.whole) return terms
  const { minimum, commitment } = terms
  return {
    ...terms,
    minimum: minimum === null ? null : scaled(minimum, share),
    commitment: commitment === null ? null : { ...commitment, amount: scaled(commitment.amount, share) },
  }
}

/** What the share has changed, for a person; null where nothing was shared out. */
function shareWords(
  { price: { terms, meter }, share }: Charge,
  due: Decimal,
  currency: Currency,
): string | null {
  if (!share.isPart) return null
  const words = shareText(share, terms.proration)
  if (meter === null) return `${words}: ${toFixedText(due)} ${currency}`
  const agreed = [
    ...(terms.minimum === null ? [] : ['minimum']),
    ...(terms.commitment === null ? [] : ['commitment']),
  ]
  return agreed.length === 0 ? null : `${agreed.join(' and ')}: ${words}`
}
