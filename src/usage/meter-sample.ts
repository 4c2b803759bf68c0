import { type Decimal, decimal } from '../money/decimal.ts'
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
export type SampleStanding = (typeof SAMPLE_STANDINGS)[number]

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
export function readValue(text: string): Decimal | null {
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
