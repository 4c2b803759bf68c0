import type { ChargeTerms } from '../catalog/price.ts'
import type { Currency } from '../money/currency.ts'
import { type Decimal, subtract } from '../money/decimal.ts'
import { type Due, type PeriodState } from './charge.ts'
import { lineDifference } from './line-difference.ts'
import { rateDifference } from './rate-difference.ts'
import type { RatingOutcome } from './rating-outcome.ts'

/** What was used from the start of a billing period to the end of each of its parts, as known at one time. */
export interface PartsKnown {
  readonly cumulative: readonly Decimal[]
  /** Whether the last of these parts closes the period. */
  readonly closed: boolean
}

/**
 * What each part of a billing period still has to be billed, or credited, after late usage: the part re-rated with what is
 * known now, less the part as it was rated before. The tier position of a part follows from all parts before it.
 */
export function lateUsage(
  terms: ChargeTerms,
  currency: Currency,
  now: PartsKnown,
  before: PartsKnown,
): RatingOutcome[] {
  return now.cumulative.map((_, part) => {
    const owed = ratePart(terms, currency, now, part)
    if (owed.kind === 'refused' || part >= before.cumulative.length) return owed
    const billed = ratePart(terms, currency, before, part)
    if (billed.kind === 'refused') return billed
    return {
      kind: 'rated',
      amount: subtract(owed.amount, billed.amount),
      exactAmount: subtract(owed.exactAmount, billed.exactAmount),
      lines: lineDifference(owed.lines, billed.lines),
      previousExactAmount: billed.exactAmount,
    }
  })
}

function ratePart(terms: ChargeTerms, currency: Currency, known: PartsKnown, part: number): RatingOutcome {
  const state = (index: number): PeriodState | null => {
    const quantity = known.cumulative[index]
    if (quantity === undefined) return null
    const closes = known.closed && index === known.cumulative.length - 1
    const due: Due = { volume: true, flat: true, minimum: closes }
    return { usage: { quantity, groups: null }, due }
  }
  const now = state(part)
  if (now === null) throw new RangeError('the parts known now hold every part that was billed')
  return rateDifference(terms, currency, now, state(part - 1))
}
