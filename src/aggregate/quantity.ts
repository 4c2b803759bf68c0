import { type Decimal, decimal, divide, fromBigInt, multiply, round, toText } from '../money/decimal.ts'
import type { Meter } from '../usage/meter.ts'
import type { MeteredQuantity } from '../usage/usage-query.ts'

/** What a statement with `aggregateColumns` answers for a group. */
export interface AggregateRow {
  readonly events: string
  readonly unusable: string
  readonly a: string | null
  readonly b: string | null
}

/** Averages have no exact decimal in general; 12 digits behind the point, half away from zero. */
const AVERAGE_SCALE = 12

export function quantityOf(meter: Meter, row: AggregateRow): MeteredQuantity {
  const events = Number(row.events)
  const unusable = Number(row.unusable)
  return { value: valueOf(meter, row, events - unusable), events, unusable }
}

/** Of no events at all. */
export function nothing(meter: Meter): MeteredQuantity {
  return quantityOf(meter, { events: '0', unusable: '0', a: null, b: null })
}

function valueOf(meter: Meter, { a, b }: AggregateRow, usable: number): string | null {
  switch (meter.aggregation) {
    case 'sum':
    case 'count':
    case 'uniqueCount':
      return a === null ? '0' : toText(summed(a))
    case 'min':
    case 'max':
    case 'latest':
      return a === null || usable === 0 ? null : toText(summed(a))
    case 'avg':
      return a === null || usable === 0 ? null : toText(divide(summed(a), summed(b ?? '0'), AVERAGE_SCALE))
    case 'percentile':
      return usable === 0 ? null : percentileOf((a ?? '').split(' '), decimal(meter.percentile ?? '0.5'))
    case 'timeWeighted':
      return null
  }
}

/** Nearest rank: the smallest value that at least `share` of the values do not exceed. */
function percentileOf(sorted: readonly string[], share: Decimal): string {
  const product = round(multiply(share, fromBigInt(BigInt(sorted.length))), 0, 'ceiling')
  const rank = Math.min(sorted.length, Math.max(1, Number(product.coefficient)))
  return toText(summed(sorted[rank - 1] ?? '0'))
}

/** What the store has added up. It may have more digits than are read from outside. */
function summed(text: string): Decimal {
  const point = text.indexOf('.')
  return { coefficient: BigInt(text.replace('.', '')), scale: point < 0 ? 0 : text.length - point - 1 }
}
