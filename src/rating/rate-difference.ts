import type { ChargeTerms } from '../catalog/price.ts'
import { type Currency, roundToMinorUnit } from '../money/currency.ts'
import { subtract } from '../money/decimal.ts'
import { chargePeriod, type PeriodState } from './charge.ts'
import { lineDifference } from './line-difference.ts'
import type { RatingOutcome } from './rating-outcome.ts'

/**
 * What a period comes to now less what it came to before: parts of a period, and late usage, which may be a credit. Each
 * of the two is rounded, so that however many differences add up to the whole to the cent.
 */
export function rateDifference(
  terms: ChargeTerms,
  currency: Currency,
  now: PeriodState,
  before: PeriodState | null,
): RatingOutcome {
  const charged = chargePeriod(terms, now)
  if (charged.kind === 'refused') return charged
  const amount = roundToMinorUnit(charged.exact, currency)
  if (before === null) {
    const { exact, lines } = charged
    return { kind: 'rated', amount, exactAmount: exact, lines, previousExactAmount: null }
  }
  const earlier = chargePeriod(terms, before)
  if (earlier.kind === 'refused') return earlier
  return {
    kind: 'rated',
    amount: subtract(amount, roundToMinorUnit(earlier.exact, currency)),
    exactAmount: subtract(charged.exact, earlier.exact),
    lines: lineDifference(charged.lines, earlier.lines),
    previousExactAmount: earlier.exact,
  }
}
