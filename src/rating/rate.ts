import { type Currency, minorUnitDigits } from '../money/currency.ts'
import { add, type Decimal, isZero, round, subtract, ZERO } from '../money/decimal.ts'
import { chargePeriod, type Due, type PeriodUsage } from './charge.ts'
import { lineDifference } from './line-difference.ts'
import type { Rated, RatedLine, RatingOutcome } from './rating-outcome.ts'
import type { QuantityGroup, RatingRequest } from './rating-request.ts'

const ALL_DUE: Due = { volume: true, minimum: true }
const OPEN: Due = { volume: false, minimum: false }

/**
 * Quantity times price, explained. Pure: the same request always gives the same outcome.
 *
 * The amount is rounded once, half away from zero, to the currency's minor unit. The part of a period after an earlier part
 * is the difference of two cumulative amounts, each rounded: so the parts of a period add up to the whole to the cent, in
 * however many parts it is billed. In a `whole` request a previous quantity of 0 means that nothing was billed before.
 */
export function rate(request: RatingRequest): RatingOutcome {
  const part = request.part ?? 'whole'
  const before = previousUsage(request)
  const now = chargePeriod(request, cumulativeUsage(request), part === 'open' ? OPEN : ALL_DUE)
  if (now.kind === 'refused') return now
  if (before === null) return rated(request.currency, now.exact, now.lines)
  const earlier = chargePeriod(request, before, part === 'whole' ? ALL_DUE : OPEN)
  if (earlier.kind === 'refused') return earlier
  const digits = minorUnitDigits(request.currency)
  const previousAmount = round(earlier.exact, digits)
  return {
    kind: 'rated',
    amount: subtract(round(now.exact, digits), previousAmount),
    exactAmount: subtract(now.exact, earlier.exact),
    lines: lineDifference(now.lines, earlier.lines),
    previousAmount,
  }
}

function rated(currency: Currency, exactAmount: Decimal, lines: readonly RatedLine[]): Rated {
  const amount = round(exactAmount, minorUnitDigits(currency))
  return { kind: 'rated', amount, exactAmount, lines, previousAmount: null }
}

/** What was used before this part; null when nothing was billed before. */
function previousUsage(request: RatingRequest): PeriodUsage | null {
  const groups = request.groups ?? null
  const known = groups?.some((group) => group.previousQuantity !== undefined) ?? false
  if (request.previousQuantity === undefined && !known) return null
  const previous = groups?.map((group): QuantityGroup => ({
    match: group.match,
    quantity: group.previousQuantity ?? ZERO,
  }))
  const quantity = request.previousQuantity ?? sumOfQuantities(previous ?? [])
  if ((request.part ?? 'whole') === 'whole' && isZero(quantity)) return null
  return { quantity, groups: previous ?? null }
}

function cumulativeUsage(request: RatingRequest): PeriodUsage {
  const groups = request.groups?.map((group): QuantityGroup =>
    group.previousQuantity === undefined
      ? group
      : { match: group.match, quantity: add(group.quantity, group.previousQuantity) },
  )
  const quantity =
    request.previousQuantity === undefined
      ? request.quantity
      : add(request.quantity, request.previousQuantity)
  const usage = { quantity, groups: groups ?? null }
  return request.events === undefined ? usage : { ...usage, events: request.events }
}

function sumOfQuantities(groups: readonly QuantityGroup[]): Decimal {
  return groups.reduce((sum, group) => add(sum, group.quantity), ZERO)
}
