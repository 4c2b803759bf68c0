import { add, compare, isZero, negate, subtract } from '../money/decimal.ts'
import { amountLine } from './rated-line.ts'
import type { RatedLine, RatedLineKind } from './rating-outcome.ts'

/** Lines of one amount that follows from the whole charge: an earlier one is made up for by the difference. */
const NETTED: ReadonlySet<RatedLineKind> = new Set([
  'amountDiscount',
  'eventBounds',
  'trueUp',
  'maximum',
  'minimum',
])

/**
 * What has to be billed after `before` was billed and `now` is due. Lines of the same kind, tier, cell and unit amount are
 * subtracted; a line whose unit amount has changed is reversed and billed anew. Their sum is the difference of the sums.
 */
export function lineDifference(now: readonly RatedLine[], before: readonly RatedLine[]): RatedLine[] {
  const earlier = [...before]
  const lines: RatedLine[] = []
  for (const line of now) {
    const i = earlier.findIndex((other) => isSame(line, other))
    const other = i < 0 ? undefined : earlier.splice(i, 1)[0]
    const difference = other === undefined ? line : differenceOf(line, other)
    if (difference !== null) lines.push(difference)
  }
  for (const line of earlier) {
    lines.push({ ...line, quantity: negate(line.quantity), amount: negate(line.amount) })
  }
  return lines
}

function isSame(a: RatedLine, b: RatedLine): boolean {
  return (
    a.kind === b.kind &&
    a.tier === b.tier &&
    JSON.stringify(a.match) === JSON.stringify(b.match) &&
    (NETTED.has(a.kind) || compare(a.unitAmount, b.unitAmount) === 0)
  )
}

function differenceOf(now: RatedLine, before: RatedLine): RatedLine | null {
  const amount = subtract(now.amount, before.amount)
  if (NETTED.has(now.kind))
    return isZero(amount) ? null : { ...now, ...amountLine(now.kind, amount, now.tier) }
  const quantity = add(now.quantity, negate(before.quantity))
  return isZero(quantity) ? null : { ...now, quantity, amount }
}
