import type { PercentagePrice } from '../catalog/price.ts'
import {
  add,
  compare,
  type Decimal,
  fromBigInt,
  isZero,
  maximum,
  minimum,
  multiply,
  subtract,
  ZERO,
} from '../money/decimal.ts'
import { amountLine, ratedLine } from './rated-line.ts'
import type { RatedLine } from './rating-outcome.ts'
import type { EventAmounts } from './rating-request.ts'

/** What of the events is charged: the sum beyond the free part, how many events, and what the bounds of one event change. */
interface Charged {
  readonly sum: Decimal
  readonly events: number
  readonly boundsChange: Decimal
}

/**
 * A share of the events' sum and an amount for each event, with bounds on what one event costs.
 * The free part is consumed in the order of the events. An event that lies wholly in it costs nothing, not even its fixed
 * amount; one that lies partly in it costs its fixed amount and the share of the rest. A sum of 0 costs nothing.
 */
export function ratePercentage(
  price: PercentagePrice,
  quantity: Decimal,
  events?: EventAmounts,
): RatedLine[] {
  if (isZero(quantity)) return []
  const share: Decimal = { coefficient: price.rate.coefficient, scale: price.rate.scale + 2 }
  const charged =
    events?.kind === 'count'
      ? chargedByCount(price, quantity, events.count)
      : isPlain(price) && events === undefined
        ? { sum: quantity, events: 1, boundsChange: ZERO }
        : chargedEvents(price, share, events?.amounts ?? [quantity])
  const lines: RatedLine[] = []
  if (!isZero(charged.sum)) lines.push(ratedLine('percentage', charged.sum, share))
  if (charged.events > 0 && !isZero(price.fixedAmount)) {
    lines.push(ratedLine('perEvent', fromBigInt(BigInt(charged.events)), price.fixedAmount))
  }
  if (!isZero(charged.boundsChange)) lines.push(amountLine('eventBounds', charged.boundsChange))
  return lines
}

/** Nothing is free and nothing is bounded: the sum is what is charged. */
function isPlain({ freeUnits, freeEvents, perEvent }: PercentagePrice): boolean {
  return freeEvents === 0 && perEvent === null && isZero(freeUnits)
}

/** Where only the number of events is known, free events are counted off and bounds of single events cannot bind. */
function chargedByCount(price: PercentagePrice, sum: Decimal, count: number): Charged {
  const events = Math.max(0, count - price.freeEvents)
  const allFree = price.freeEvents > 0 && events === 0
  return {
    sum: allFree ? ZERO : maximum(ZERO, subtract(sum, price.freeUnits)),
    events,
    boundsChange: ZERO,
  }
}

function chargedEvents(price: PercentagePrice, share: Decimal, amounts: readonly Decimal[]): Charged {
  const { freeUnits, freeEvents, fixedAmount, perEvent } = price
  let freeLeft = freeUnits
  let sum = ZERO
  let events = 0
  let boundsChange = ZERO
  amounts.forEach((amount, i) => {
    const candidate = freeEvents === 0 || i < freeEvents
    if (candidate && freeEvents > 0 && isZero(freeUnits)) return
    const free = candidate ? minimum(freeLeft, amount) : ZERO
    freeLeft = subtract(freeLeft, free)
    if (candidate && !isZero(freeUnits) && compare(free, amount) === 0) return
    const rest = subtract(amount, free)
    sum = add(sum, rest)
    events += 1
    if (perEvent === null) return
    const cost = add(multiply(rest, share), fixedAmount)
    let bounded = cost
    if (perEvent.min !== null) bounded = maximum(bounded, perEvent.min)
    if (perEvent.max !== null) bounded = minimum(bounded, perEvent.max)
    boundsChange = add(boundsChange, subtract(bounded, cost))
  })
  return { sum, events, boundsChange }
}
