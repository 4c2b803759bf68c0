import { add, type Decimal, isZero, ZERO } from '../money/decimal.ts'
import type { Due, PeriodState } from './charge.ts'
import { rateDifference } from './rate-difference.ts'
import type { RatingOutcome } from './rating-outcome.ts'
import type { QuantityGroup, RatingRequest } from './rating-request.ts'

const ALL_DUE: Due = { volume: true, flat: true, minimum: true }

/**
 * Quantity times price, explained. Pure: the same request always gives the same outcome.
 *
 * The amount is rounded once, half away from zero, to the currency's minor unit. The part of a period after an earlier part
 * is the difference of two cumulative amounts, each rounded: so the parts of a period add up to the whole to the cent, in
 * however many parts it is billed. In a `whole` request a previous quantity of 0 means that nothing was billed before.
 */
export function rate(request: RatingRequest): RatingOutcome {
  return rateDifference(request, request.currency, stateAfter(request), stateBefore(request))
}

/** What is due with an open part: flat amounts in arrears, volume prices and the minimum wait for the closing part. */
function openDue(request: RatingRequest): Due {
  return { volume: false, flat: request.payment !== 'inArrears', minimum: false }
}

function stateAfter(request: RatingRequest): PeriodState {
  const { quantity, previousQuantity, events } = request
  const due = request.part === 'open' ? openDue(request) : ALL_DUE
  if (previousQuantity === undefined && request.groups === undefined && events === undefined) {
    return { usage: { quantity, groups: null }, due }
  }
  const groups = request.groups?.map((group): QuantityGroup =>
    group.previousQuantity === undefined
      ? group
      : { match: group.match, quantity: add(group.quantity, group.previousQuantity) },
  )
  const usage = {
    quantity: previousQuantity === undefined ? quantity : add(quantity, previousQuantity),
    groups: groups ?? null,
  }
  return {
    usage: events === undefined ? usage : { ...usage, events },
    due,
  }
}

/** The state after the earlier parts; null when nothing was billed before. */
function stateBefore(request: RatingRequest): PeriodState | null {
  const { groups, previousQuantity, part } = request
  if (groups === undefined && previousQuantity === undefined) return null
  const known = groups?.some((group) => group.previousQuantity !== undefined) ?? false
  if (previousQuantity === undefined && !known) return null
  const previous =
    groups?.map((group): QuantityGroup => ({
      match: group.match,
      quantity: group.previousQuantity ?? ZERO,
    })) ?? null
  const quantity = previousQuantity ?? sumOfQuantities(previous ?? [])
  const whole = part === undefined || part === 'whole'
  if (whole && isZero(quantity)) return null
  return { usage: { quantity, groups: previous }, due: whole ? ALL_DUE : openDue(request) }
}

function sumOfQuantities(groups: readonly QuantityGroup[]): Decimal {
  return groups.reduce((sum, group) => add(sum, group.quantity), ZERO)
}
