import { type Decimal, decimal, divide, toText } from '../money/decimal.ts'
import type { Aggregation, Meter } from '../usage/meter.ts'
import type { MeteredQuantity } from '../usage/usage-query.ts'

/**
 * How a meter's events become a quantity. Events of a group are first put into a *part* (`events`, `unusable`,
 * `a`, for `latest` also `at`), parts of any sets of events merge into one, and the merged part is the quantity. Rollups are parts.
 */
export type MergeableAggregation = Exclude<Aggregation, 'uniqueCount' | 'percentile' | 'timeWeighted'>

/** The others need every event: what is unique, or in the middle, or held cannot be told from parts. */
export function isMergeable(aggregation: Aggregation): aggregation is MergeableAggregation {
  return aggregation !== 'uniqueCount' && aggregation !== 'percentile' && aggregation !== 'timeWeighted'
}

/** Of two values at one time the later accepted one is the latest; the coordinate decides between equals. */
const ORDER = '(ms, toUnixTimestamp64Milli(ingested_at), kp, ko, ki)'
export const NO_VALUE = "CAST(NULL, 'Nullable(Decimal(76, 9))')"

/** The part of a group of events that have `v`, their exact value, and where `latest` needs it, their order. */
export function partColumns(aggregation: MergeableAggregation): string {
  const counts = 'count() AS events, countIf(v IS NULL) AS unusable'
  switch (aggregation) {
    case 'count':
      return `count() AS events, toUInt64(0) AS unusable, ${NO_VALUE} AS a`
    case 'sum':
    case 'avg':
      return `${counts}, sum(v) AS a`
    case 'min':
      return `${counts}, min(v) AS a`
    case 'max':
      return `${counts}, max(v) AS a`
    case 'latest':
      return `${counts}, argMaxIf(v, ${ORDER}, v IS NOT NULL) AS a,
        maxIf(${ORDER}, v IS NOT NULL) AS at`
  }
}

/** The part that parts `p` merge into. */
export function mergedPart(aggregation: MergeableAggregation): string {
  const a = aggregation === 'count' ? NO_VALUE : merged(aggregation)
  const at = aggregation === 'latest' ? ', maxIf(p.at, p.a IS NOT NULL) AS at' : ''
  return `sum(p.events) AS events, sum(p.unusable) AS unusable, ${a} AS a${at}`
}

/** Columns of a merged group of parts `p`, as text. */
export function mergeColumns(aggregation: Aggregation): string {
  return `toString(sum(p.events)) AS events, toString(sum(p.unusable)) AS unusable, toString(${merged(aggregation)}) AS a`
}

function merged(aggregation: Aggregation): string {
  switch (aggregation) {
    case 'count':
      return 'sum(p.events)'
    case 'sum':
    case 'avg':
    case 'timeWeighted':
      return 'sum(p.a)'
    case 'min':
      return 'min(p.a)'
    case 'max':
      return 'max(p.a)'
    case 'latest':
      return 'argMaxIf(p.a, p.at, p.a IS NOT NULL)'
    case 'uniqueCount':
    case 'percentile':
      // They come as one part a group, read from the events.
      return 'any(p.a)'
  }
}

/**
 * The one part of a whole group, for aggregations that need every event; `text` is the value's text. The percentile
 * is the nearest rank: the smallest value that at least the share of the values do not exceed.
 */
export function wholeColumns(meter: Meter): string {
  switch (meter.aggregation) {
    case 'uniqueCount':
      return `count() AS events, countIf(text = '') AS unusable, uniqExactIf(text, text != '') AS a`
    case 'percentile': {
      const share = decimal(meter.percentile ?? '0.5')
      const of = 10n ** BigInt(share.scale)
      // Whole numbers only: ceil(share × n) = intDiv(numerator × n + denominator − 1, denominator).
      const rank = `toUInt64(greatest(1, intDiv(toUInt256('${share.coefficient}') * count(v) + toUInt256('${of - 1n}'), toUInt256('${of}'))))`
      return `count() AS events, countIf(v IS NULL) AS unusable,
        if(count(v) = 0, ${NO_VALUE}, arraySort(groupArrayIf(v, v IS NOT NULL))[${rank}]) AS a`
    }
    default:
      throw new RangeError(`${meter.aggregation} is made of parts`)
  }
}

/** What a statement with `mergeColumns` answers for a group. */
export interface MergedRow {
  readonly events: string
  readonly unusable: string
  readonly a: string | null
}

/** Averages have no exact decimal in general; 12 digits behind the point, half away from zero. */
const AVERAGE_SCALE = 12

export function quantityOf(meter: Meter, row: MergedRow): MeteredQuantity {
  const events = Number(row.events)
  const unusable = Number(row.unusable)
  return { value: valueOf(meter, row.a, events - unusable), events, unusable }
}

/** Of no events at all. */
export function nothing(meter: Meter): MeteredQuantity {
  return quantityOf(meter, { events: '0', unusable: '0', a: null })
}

function valueOf(meter: Meter, a: string | null, usable: number): string | null {
  switch (meter.aggregation) {
    case 'sum':
    case 'count':
    case 'uniqueCount':
      return a === null ? '0' : toText(summed(a))
    case 'min':
    case 'max':
    case 'latest':
    case 'percentile':
      return a === null || usable === 0 ? null : toText(summed(a))
    case 'avg':
      return a === null || usable === 0
        ? null
        : toText(divide(summed(a), { coefficient: BigInt(usable), scale: 0 }, AVERAGE_SCALE))
    case 'timeWeighted': {
      if (a === null) return '0'
      // The store has added up level × milliseconds.
      const { coefficient, scale } = summed(a)
      return toText({ coefficient, scale: scale + 3 })
    }
  }
}

/** What the store has added up. It may have more digits than are read from outside. */
function summed(text: string): Decimal {
  const point = text.indexOf('.')
  return { coefficient: BigInt(text.replace('.', '')), scale: point < 0 ? 0 : text.length - point - 1 }
}
