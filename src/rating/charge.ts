import type { ChargeTerms, SimplePrice } from '../catalog/price.ts'
import {
  add,
  compare,
  type Decimal,
  isNegative,
  isZero,
  minimum,
  negate,
  subtract,
  ZERO,
} from '../money/decimal.ts'
import { commitmentLines } from './commitment.ts'
import { discountLines, freeUnitsOf } from './discounts.ts'
import { cellPrice } from './matrix.ts'
import { priceLines } from './price-lines.ts'
import { amountLine, ratedLine, sumOfLines } from './rated-line.ts'
import type { RatedLine, RatedLineKind, RatingError } from './rating-outcome.ts'
import type { EventAmounts, QuantityGroup } from './rating-request.ts'
import { convertUnits } from './unit-conversion.ts'

/** What was used from the start of a period. */
interface PeriodUsage {
  readonly quantity: Decimal
  readonly groups: readonly QuantityGroup[] | null
  readonly events?: EventAmounts
}

/** Whether what can wait for the end of a period is due. */
export interface Due {
  /** Volume and stairstep prices: their amount may still fall while the period runs. */
  readonly volume: boolean
  /** Flat prices: in arrears they wait. */
  readonly flat: boolean
  /** The minimum, and what is missing to a commitment. */
  readonly minimum: boolean
}

/** What was used, and what of the end is due with it. */
export interface PeriodState {
  readonly usage: PeriodUsage
  readonly due: Due
}

export type Charge =
  | { readonly kind: 'charged'; readonly exact: Decimal; readonly lines: readonly RatedLine[] }
  | { readonly kind: 'refused'; readonly error: RatingError }

/**
 * The whole charge of a period for what was used from its start. Order of operations: unit conversion, usage discounts,
 * price, percent and amount discounts, commitment, maximum, minimum.
 */
export function chargePeriod(terms: ChargeTerms, { usage, due }: PeriodState): Charge {
  const priced = priceUsage(terms, usage, due)
  if (!Array.isArray(priced)) return { kind: 'refused', error: priced }
  const lines = priced
  let sum = sumOfLines(lines)
  if (terms.discounts.length > 0) {
    const discounts = discountLines(terms.discounts, sum)
    for (const line of discounts) sum = add(sum, line.amount)
    lines.push(...discounts)
  }
  if (terms.commitment !== null) {
    const committed = commitmentLines(terms.commitment, sum, due.minimum)
    for (const line of committed) sum = add(sum, line.amount)
    lines.push(...committed)
  }
  if (terms.maximum !== null && compare(sum, terms.maximum) > 0) {
    lines.push(amountLine('maximum', subtract(terms.maximum, sum)))
    sum = terms.maximum
  }
  if (due.minimum && terms.minimum !== null && compare(sum, terms.minimum) < 0) {
    lines.push(amountLine('minimum', subtract(terms.minimum, sum)))
    sum = terms.minimum
  }
  return { kind: 'charged', exact: sum, lines }
}

function isDue(price: SimplePrice, due: Due): boolean {
  switch (price.model) {
    case 'volume':
    case 'stairstep':
      return due.volume
    case 'flat':
      return due.flat
    default:
      return true
  }
}

/** A period in which more was taken back than used: the units are credited as they would be charged, flat amounts not. */
function creditLines(price: SimplePrice, quantity: Decimal): RatedLine[] {
  if (price.model === 'flat') return priceLines(price, quantity)
  return priceLines(price, quantity)
    .filter((line) => !FLAT_KINDS.has(line.kind))
    .map((line) => ({ ...line, quantity: negate(line.quantity), amount: negate(line.amount) }))
}

const FLAT_KINDS: ReadonlySet<RatedLineKind> = new Set([
  'tierFlat',
  'volumeFlat',
  'stair',
  'perEvent',
  'eventBounds',
])

function priceUsage(terms: ChargeTerms, usage: PeriodUsage, due: Due): RatedLine[] | RatingError {
  const { price } = terms
  let free = terms.discounts.length === 0 ? ZERO : freeUnitsOf(terms.discounts)
  if (price.model !== 'matrix') return pricePart(terms, price, usage, due, free)
  const lines: RatedLine[] = []
  for (const [i, group] of (usage.groups ?? []).entries()) {
    const simple = cellPrice(price, group.match)
    if (simple === null) {
      return {
        code: 'unmatchedGroup',
        detail: `no cell of the matrix matches ${JSON.stringify(group.match)}, and it has no "otherwise"`,
        pointer: `/groups/${String(i)}/match`,
      }
    }
    const part = pricePart(terms, simple, { ...usage, quantity: group.quantity }, due, free)
    for (const line of part) {
      if (line.kind === 'usageDiscount') free = subtract(free, line.quantity)
      lines.push({ ...line, match: group.match })
    }
  }
  return lines
}

/** The lines of one price for what was used of it. @param free units that usage discounts still make free */
function pricePart(
  terms: ChargeTerms,
  price: SimplePrice,
  { quantity: metered, events }: PeriodUsage,
  due: Due,
  free: Decimal,
): RatedLine[] {
  if (!isDue(price, due)) return []
  const quantity = terms.conversion === null ? metered : convertUnits(terms.conversion, metered)
  if (isNegative(quantity)) return creditLines(price, negate(quantity))
  if (isZero(free) || isZero(quantity) || price.model === 'flat') return priceLines(price, quantity, events)
  const taken = minimum(free, quantity)
  return [ratedLine('usageDiscount', taken, ZERO), ...priceLines(price, subtract(quantity, taken), events)]
}
