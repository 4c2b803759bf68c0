import type { ChargeTerms } from '../catalog/price.ts'
import type { Currency } from '../money/currency.ts'
import { add, type Decimal, ZERO } from '../money/decimal.ts'
import type { PeriodState } from './charge.ts'
import { rateDifference } from './rate-difference.ts'
import type { RatingOutcome } from './rating-outcome.ts'

/** What was used of a period while one version of a price was in force. */
export interface PriceSegment {
  readonly terms: ChargeTerms
  readonly quantity: Decimal
}

/**
 * Whether the tiers of a new version of a price begin anew with it, or at the quantity that the period had reached. Free
 * units and bounds follow: with `continue` they hold for the whole period, by the version in force.
 */
export type TiersOnChange = 'restart' | 'continue'

/**
 * A period in which the price changed: each segment by the version in force while it was used, in the order of time. The
 * minimum and what is missing to a commitment wait for the last segment when the period goes on as one.
 */
export function rateSegments(
  segments: readonly PriceSegment[],
  currency: Currency,
  tiers: TiersOnChange,
): RatingOutcome[] {
  let reached = ZERO
  return segments.map(({ terms, quantity }, i) => {
    const before = tiers === 'restart' ? ZERO : reached
    reached = add(reached, quantity)
    const closes = tiers === 'restart' || i === segments.length - 1
    const state = (used: Decimal, minimum: boolean): PeriodState => ({
      usage: { quantity: used, groups: null },
      due: { volume: true, flat: true, minimum },
    })
    const isFirst = tiers === 'restart' || i === 0
    return rateDifference(
      terms,
      currency,
      state(add(before, quantity), closes),
      isFirst ? null : state(before, false),
    )
  })
}
