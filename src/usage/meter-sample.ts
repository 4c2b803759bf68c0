import {
  add,
  compare,
  type Decimal,
  decimal,
  divide,
  fromBigInt,
  multiply,
  round,
  toText,
  ZERO,
} from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'
import type { UsageEvent } from './event.ts'
import type { MeterDefinition } from './meter-parse.ts'

export const SAMPLE_STANDINGS = [
  'counted',
  /** Of the meter, but its value is missing or cannot be read; shown with every quantity, never in it. */
  'unusable',
  'otherType',
  'filteredOut',
  /** An event with the same source and id stands before it. */
  'duplicate',
  /** POST /v1/events would not take it. */
  'rejected',
] as const
type SampleStanding = (typeof SAMPLE_STANDINGS)[number]

/** What a meter makes of one event. */
export interface JudgedSample {
  readonly standing: SampleStanding
  /** Its value as text where it is counted; `1` for `count`. */
  readonly value: string | null
  /** Every dimension of the meter; an event without the property stands under the empty text. Null when not of the meter. */
  readonly group: Readonly<Record<string, string>> | null
  /** Why, for a person. */
  readonly detail: string
}

/** The usage store reads values of at most 29 digits before the point and 9 behind it; further zeros say nothing. */
const VALUE = /^-?0*\d{1,29}(?:\.\d{1,9}0*)?$/

/** The exact value of a property's text as the usage store reads it; null when it is not usable. */
function readValue(text: string): Decimal | null {
  return VALUE.test(text) && text.length <= 100 ? decimal(text) : null
}

/** Judges one event by itself; whether a copy of it came before is the caller's to know. */
export function judgeSample(
  meter: MeterDefinition,
  { type, properties }: Pick<UsageEvent, 'type' | 'properties'>,
): JudgedSample {
  if (type !== meter.eventType) {
    return none('otherType', `The meter counts events of type "${meter.eventType}", this is "${type}".`)
  }
  for (const [path, values] of Object.entries(meter.filters)) {
    const found = properties.get(path)
    if (found !== undefined && values.includes(found)) continue
    return none(
      'filteredOut',
      found === undefined
        ? `It has no "${path}", which the filter asks for.`
        : `"${path}" is ${quote(found)}, which the filter does not let through.`,
    )
  }
  const group = Object.fromEntries(
    Object.entries(meter.groupBy).map(([name, path]) => [name, properties.get(path) ?? '']),
  )
  if (meter.valueProperty === undefined) return { standing: 'counted', value: '1', group, detail: 'Counted.' }
  const value = properties.get(meter.valueProperty) ?? ''
  const fault = valueFault(meter, value)
  if (fault === null) return { standing: 'counted', value, group, detail: 'Counted.' }
  return { standing: 'unusable', value: null, group, detail: fault }
}

/** A usable value of one event, as text. */
interface TimedValue {
  readonly text: string
  readonly time: Instant
}

/** Averages have no exact decimal in general; 12 digits behind the point, half away from zero. */
const AVERAGE_SCALE = 12

/**
 * What usable values come to, in the order of the events: exact decimal text, null where the aggregation has no value.
 * A time-weighted level depends on the interval that is asked about, which samples do not have.
 */
export function quantityOfSamples(
  { aggregation, percentile }: Pick<MeterDefinition, 'aggregation' | 'percentile'>,
  values: readonly TimedValue[],
): string | null {
  if (aggregation === 'count') return String(values.length)
  if (aggregation === 'uniqueCount') return String(new Set(values.map(({ text }) => text)).size)
  const decimals = values.map(({ text }) => decimal(text))
  const total = decimals.reduce(add, ZERO)
  if (aggregation === 'sum') return toText(total)
  const sorted = decimals.toSorted(compare)
  switch (aggregation) {
    case 'avg':
      return values.length === 0
        ? null
        : toText(divide(total, fromBigInt(BigInt(values.length)), AVERAGE_SCALE))
    case 'min':
      return textOrNull(sorted[0])
    case 'max':
      return textOrNull(sorted.at(-1))
    case 'latest':
      return textOrNull(decimals[indexOfLatest(values)])
    case 'percentile':
      return textOrNull(nearestRank(sorted, decimal(percentile ?? '0.5')))
    case 'timeWeighted':
      return null
  }
}

/** Of events at the same time the one that came last; -1 of none. */
function indexOfLatest(values: readonly TimedValue[]): number {
  let latest = -1
  for (const [index, { time }] of values.entries()) {
    if (latest < 0 || time >= (values[latest]?.time ?? time)) latest = index
  }
  return latest
}

/** The smallest value that at least `share` of the values do not exceed. */
function nearestRank(sorted: readonly Decimal[], share: Decimal): Decimal | undefined {
  const rank = Number(round(multiply(share, fromBigInt(BigInt(sorted.length))), 0, 'ceiling').coefficient)
  return sorted[Math.max(1, rank) - 1]
}

function textOrNull(value: Decimal | undefined): string | null {
  return value === undefined ? null : toText(value)
}

function valueFault({ aggregation, valueProperty = '' }: MeterDefinition, value: string): string | null {
  if (value === '') return `It has no "${valueProperty}", so it has no value.`
  if (aggregation === 'uniqueCount' || readValue(value) !== null) return null
  return `"${valueProperty}" is ${quote(value)}, no decimal of at most 29 digits before and 9 behind the point.`
}

function none(standing: SampleStanding, detail: string): JudgedSample {
  return { standing, value: null, group: null, detail }
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}
