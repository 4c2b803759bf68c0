import { type JsonObject, JsonReader, member } from '../catalog/json-reader.ts'
import { readChoice, readLabel } from '../catalog/label.ts'
import { compare, type Decimal, isNegative, ONE, parseDecimal, toText } from '../money/decimal.ts'
import { type Aggregation, AGGREGATIONS, type Meter } from './meter.ts'

/** One fault of a body, by JSON pointer. */
interface MeterFault {
  readonly pointer: string
  readonly detail: string
}

/** What a tenant says of a meter: the meter without its name in the catalog and its revision. */
export type MeterDefinition = Omit<Meter, 'tenant' | 'key' | 'revision'>

export type MeterParse =
  | { readonly kind: 'meter'; readonly definition: MeterDefinition }
  | { readonly kind: 'faulty'; readonly faults: readonly MeterFault[] }

const nameCharsMax = 200
const typeCharsMax = 255
const pathCharsMax = 255
const dimensionsMax = 16
const filtersMax = 32
const filterValuesMax = 1000
const filterValueCharsMax = 1024

const MEMBERS = [
  'name',
  'eventType',
  'aggregation',
  'valueProperty',
  'groupBy',
  'filters',
  'percentile',
] as const
const CONTROL = /\p{Cc}/u
const DIMENSION = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/
/** Answers of usage queries have columns of these names already. */
const RESERVED_DIMENSIONS = ['customer', 'subject', 'start', 'end', 'value']
const FORBIDDEN_SEGMENTS = ['__proto__', 'constructor', 'prototype']

/**
 * Reads `{name, eventType, aggregation, valueProperty?, groupBy?, filters?, percentile?}` as it came from outside
 * and finds every fault in one pass. Paths may be written `a.b` or `$.a.b`; the first form is kept.
 */
export function parseMeter(raw: unknown, pointer = ''): MeterParse {
  const reader = new JsonReader()
  const object = reader.object(raw, pointer, MEMBERS)
  if (object === null) return { kind: 'faulty', faults: reader.faults }
  const name = readLabel(reader, object, 'name', pointer, nameCharsMax)
  const eventType = readEventType(reader, object, pointer)
  const aggregation = readChoice(reader, object, 'aggregation', pointer, AGGREGATIONS)
  const valueProperty = readValueProperty(reader, object, pointer, aggregation)
  const groupBy = readGroupBy(reader, object, pointer)
  const filters = readFilters(reader, object, pointer)
  const percentile = readPercentile(reader, object, pointer, aggregation)
  if (aggregation === null || reader.faults.length > 0) return { kind: 'faulty', faults: reader.faults }
  return {
    kind: 'meter',
    definition: {
      name,
      eventType,
      aggregation,
      ...(valueProperty === null ? {} : { valueProperty }),
      groupBy,
      filters,
      ...(percentile === null ? {} : { percentile }),
    },
  }
}

/** True when both count the same; a name changes nothing. */
export function countsTheSame(a: MeterDefinition, b: MeterDefinition): boolean {
  return counted(a) === counted(b)
}

/** What is counted, as text that does not depend on the order of members or of a filter's values. */
function counted(meter: MeterDefinition): string {
  const sorted = (record: object): [string, unknown][] =>
    Object.entries(record).sort(([x], [y]) => (x < y ? -1 : 1))
  return JSON.stringify([
    meter.eventType,
    meter.aggregation,
    meter.valueProperty ?? null,
    sorted(meter.groupBy),
    sorted(meter.filters).map(([path, values]) => [path, [...(values as string[])].sort()]),
    meter.percentile ?? null,
  ])
}

function readEventType(reader: JsonReader, object: JsonObject, pointer: string): string {
  const type = readLabel(reader, object, 'eventType', pointer, typeCharsMax)
  if (type.startsWith('__')) {
    reader.fault(
      'invalidRequest',
      member(pointer, 'eventType'),
      'must not begin with "__"; such types are ours',
    )
  }
  return type
}

function readValueProperty(
  reader: JsonReader,
  object: JsonObject,
  pointer: string,
  aggregation: Aggregation | null,
): string | null {
  const at = member(pointer, 'valueProperty')
  if (object['valueProperty'] === undefined || object['valueProperty'] === null) {
    if (aggregation !== null && aggregation !== 'count') {
      reader.fault('invalidRequest', at, `is missing: ${aggregation} needs the property that it aggregates`)
    }
    return null
  }
  if (aggregation === 'count') {
    reader.fault('invalidRequest', at, 'must be left out: count counts events, not a property of theirs')
    return null
  }
  return readPath(reader, object['valueProperty'], at)
}

function readPath(reader: JsonReader, raw: unknown, pointer: string): string {
  if (typeof raw !== 'string') {
    reader.fault('invalidRequest', pointer, 'must be a path such as "usage.input"')
    return ''
  }
  const path = raw.startsWith('$.') ? raw.slice(2) : raw
  const segments = path.split('.')
  if (path.length > pathCharsMax || CONTROL.test(path) || segments.includes('') || /[[\]*]/.test(path)) {
    reader.fault(
      'invalidRequest',
      pointer,
      `must be a path such as "usage.input": names of 1 to ${pathCharsMax} characters in all, parted by dots, without brackets`,
    )
  } else if (segments.some((segment) => FORBIDDEN_SEGMENTS.includes(segment))) {
    reader.fault('invalidRequest', pointer, `must not have a part named ${FORBIDDEN_SEGMENTS.join(', ')}`)
  }
  return path
}

function readMembers(
  reader: JsonReader,
  object: JsonObject,
  key: string,
  pointer: string,
): [string, unknown][] {
  const raw = object[key]
  if (raw === undefined || raw === null) return []
  if (typeof raw === 'object' && !Array.isArray(raw)) return Object.entries(raw)
  reader.fault('invalidRequest', member(pointer, key), 'must be an object')
  return []
}

function readGroupBy(reader: JsonReader, object: JsonObject, pointer: string): Record<string, string> {
  const at = member(pointer, 'groupBy')
  const entries = readMembers(reader, object, 'groupBy', pointer)
  if (entries.length > dimensionsMax) {
    reader.fault('invalidRequest', at, `must have at most ${dimensionsMax} dimensions`)
  }
  const dimensions: [string, string][] = []
  for (const [name, path] of entries) {
    if (!DIMENSION.test(name) || RESERVED_DIMENSIONS.includes(name)) {
      reader.fault(
        'invalidRequest',
        member(at, name),
        `cannot be the name of a dimension: letters, digits and "_", not beginning with a digit, and none of ${RESERVED_DIMENSIONS.join(', ')}`,
      )
    }
    dimensions.push([name, readPath(reader, path, member(at, name))])
  }
  return Object.fromEntries(dimensions)
}

function readFilters(
  reader: JsonReader,
  object: JsonObject,
  pointer: string,
): Record<string, readonly string[]> {
  const at = member(pointer, 'filters')
  const entries = readMembers(reader, object, 'filters', pointer)
  if (entries.length > filtersMax) reader.fault('invalidRequest', at, `must have at most ${filtersMax} paths`)
  const filters = new Map<string, readonly string[]>()
  for (const [written, raw] of entries) {
    const here = member(at, written)
    const path = readPath(reader, written, here)
    if (filters.has(path)) reader.fault('invalidRequest', here, 'is the same path as another filter')
    filters.set(path, readFilterValues(reader, raw, here))
  }
  return Object.fromEntries(filters)
}

function readFilterValues(reader: JsonReader, raw: unknown, pointer: string): readonly string[] {
  const values: readonly unknown[] = Array.isArray(raw) ? raw : [raw]
  if (values.length === 0 || values.length > filterValuesMax) {
    reader.fault(
      'invalidRequest',
      pointer,
      `must list 1 to ${filterValuesMax} values, one of which the event must have`,
    )
  }
  const read: string[] = []
  for (const [index, value] of values.entries()) {
    if (typeof value === 'string' && value.length <= filterValueCharsMax) read.push(value)
    else {
      reader.fault(
        'invalidRequest',
        Array.isArray(raw) ? member(pointer, index) : pointer,
        'must be text; write numbers and true or false in quotes, as events are compared',
      )
    }
  }
  return [...new Set(read)]
}

function readPercentile(
  reader: JsonReader,
  object: JsonObject,
  pointer: string,
  aggregation: Aggregation | null,
): string | null {
  const at = member(pointer, 'percentile')
  const raw = object['percentile']
  if (raw === undefined || raw === null) {
    if (aggregation === 'percentile')
      reader.fault('invalidRequest', at, 'is missing: which one, such as "0.95"')
    return null
  }
  if (aggregation !== null && aggregation !== 'percentile') {
    reader.fault('invalidRequest', at, `must be left out: ${aggregation} has none`)
    return null
  }
  const value = typeof raw === 'string' ? parseDecimal(raw) : null
  if (value?.kind !== 'decimal' || isOutside(value.value)) {
    reader.fault('invalidRequest', at, 'must be a decimal in quotes between "0" and "1", such as "0.95"')
    return null
  }
  return toText(value.value)
}

function isOutside(value: Decimal): boolean {
  return isNegative(value) || compare(value, ONE) > 0
}
