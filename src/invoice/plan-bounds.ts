import { type Currency, minorUnitDigits } from '../money/currency.ts'
import {
  add,
  compare,
  type Decimal,
  ONE,
  round,
  subtract,
  toFixedText,
  toText,
  ZERO,
} from '../money/decimal.ts'
import type { Charge } from './charge.ts'
import type { PlanBounds } from './plan-total.ts'
import type { RatedCharge } from './rated-charge.ts'
import { feeShare, shareText } from './service-share.ts'

/**
 * What the bounds of a plan add to its charges or take off them, after the discounts of each (design decision D8). For a part
 * of a period they are shared out by days. Zero where the charges are within them: the line says so.
 * @param amounts what the charges that count come to, rounded
 */
export function rateBounds(
  charge: Charge,
  { minimum, maximum }: PlanBounds,
  amounts: readonly Decimal[],
  currency: Currency,
): RatedCharge {
  const sum = round(amounts.reduce(add, ZERO), minorUnitDigits(currency))
  const least = minimum === null ? null : feeShare(minimum, charge.share, currency).amount
  const most = maximum === null ? null : feeShare(maximum, charge.share, currency).amount
  const isBelow = least !== null && compare(sum, least) < 0
  const isAbove = most !== null && compare(sum, most) > 0
  const bound = isBelow ? least : isAbove ? most : sum
  const amount = subtract(bound, sum)
  const total = `all prices of the plan come to ${toFixedText(sum)} ${currency}`
  const description = isBelow
    ? `${total}; up to the minimum of ${toFixedText(bound)}`
    : isAbove
      ? `${total}; down to the maximum of ${toFixedText(bound)}`
      : `${total}, within ${withinText(least, most)}`
  const share = charge.share.isPart ? `, for ${shareText(charge.share, charge.price.terms.proration)}` : ''
  const kind = isBelow ? 'minimum' : isAbove ? 'maximum' : 'flat'
  return {
    charge,
    meterRevision: null,
    quantity: ONE,
    amount,
    exactAmount: amount,
    steps: [{ kind, description, quantity: '1', unitAmount: toText(amount), amount: toText(amount) }],
    explanation: `${description}${share}: ${toFixedText(amount)} ${currency}`,
  }
}

function withinText(least: Decimal | null, most: Decimal | null): string {
  return [
    ...(least === null ? [] : [`the minimum of ${toFixedText(least)}`]),
    ...(most === null ? [] : [`the maximum of ${toFixedText(most)}`]),
  ].join(' and ')
}

/**
 * The chosen charges and all that a plan's minimum or maximum binds together with one of them. Fees alone choose nothing: they
 * are looked at with every close, and what they come to only changes with the span, which the bounds have in common with them.
 */
export function withBoundTogether(charges: readonly Charge[], chosen: readonly Charge[]): readonly Charge[] {
  const keys = new Set(chosen.map(({ key }) => key))
  const counted = new Set(
    chosen.filter(({ price, bounds }) => price.meter !== null || bounds !== undefined).map(({ key }) => key),
  )
  for (const { key, bounds } of charges) {
    if (bounds === undefined) continue
    const together = [key, ...bounds.charges]
    if (together.some((one) => counted.has(one))) for (const one of together) keys.add(one)
  }
  return charges.filter(({ key }) => keys.has(key))
}
