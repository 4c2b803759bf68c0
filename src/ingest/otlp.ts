import { hash } from 'node:crypto'
import { type ExactJson, ExactNumber, type ExactObject, isExactObject, writeExactJson } from './exact-json.ts'
import { plainNumberText } from './number-text.ts'
import type { KeyedOtlpMapping } from './otlp-mappings.ts'

/** What an export of metrics comes to. */
export interface OtlpReading {
  /** CloudEvents as JSON text, in the order of their data points. */
  readonly events: readonly string[]
  /** Data points of mapped metrics that are no usage, by why. */
  readonly refused: ReadonlyMap<OtlpRefusal, number>
  /** Data points of metrics without a mapping: exporters send all that they have. */
  readonly unmapped: number
}

export const OTLP_REFUSALS = ['cumulative', 'notASum', 'noValue', 'noTime', 'malformed'] as const
export type OtlpRefusal = (typeof OTLP_REFUSALS)[number]

/** What to do about it, for the person who reads the exporter's log. */
export const OTLP_REFUSAL_DETAILS: Readonly<Record<OtlpRefusal, string>> = {
  cumulative:
    'Cumulative sums are not counted, for a restart or a lost export would change them. Export deltas: OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta, or the processor cumulativetodelta in the collector.',
  notASum: 'Only sums become usage: gauges and histograms do not say how much was used.',
  noValue: 'A data point has no finite value in asInt or asDouble.',
  noTime: 'A data point has no timeUnixNano.',
  malformed: 'A metric or data point is not an object as OTLP has it.',
}

const NO_RECORDED_VALUE = 1n
const INTEGER = /^-?\d{1,19}$/

/**
 * Reads the JSON of an ExportMetricsServiceRequest. The id of an event is made of the resource, the scope, the metric, the
 * attributes and the window of time, so that an export that is sent again adds nothing. Pure.
 */
export function readOtlpMetrics(
  request: ExactJson,
  mappingsOf: (metric: string) => readonly KeyedOtlpMapping[],
): OtlpReading {
  const events: string[] = []
  const refused = new Map<OtlpRefusal, number>()
  let unmapped = 0
  const refuse = (reason: OtlpRefusal, points = 1): void =>
    void refused.set(reason, (refused.get(reason) ?? 0) + points)
  for (const { metric, resource, scope } of metricsOf(request)) {
    if (!isExactObject(metric)) {
      refuse('malformed')
      continue
    }
    const name = metric.get('name')
    const { kind, body } = dataOf(metric)
    const points = listOf(body?.get('dataPoints'))
    const mappings = typeof name === 'string' ? mappingsOf(name) : []
    if (mappings.length === 0) {
      unmapped += points.length
      continue
    }
    if (kind !== 'sum') refuse('notASum', points.length)
    else if (!isDelta(body?.get('aggregationTemporality'))) refuse('cumulative', points.length)
    else {
      for (const point of points) {
        const read = readPoint(point, metric, resource, scope)
        if (read === 'absent') continue
        if (typeof read === 'string') refuse(read)
        else for (const mapping of mappings) events.push(eventOf(read, mapping))
      }
    }
  }
  return { events, refused, unmapped }
}

interface Point {
  /** Of resource, scope, metric, attributes and window. */
  readonly identity: string
  readonly value: string
  readonly time: string
  readonly attribute: (name: string) => string | undefined
}

function readPoint(
  point: ExactJson,
  metric: ExactObject,
  resource: ExactJson | undefined,
  scope: ExactJson | undefined,
): Point | OtlpRefusal | 'absent' {
  if (!isExactObject(point)) return 'malformed'
  if ((BigInt(integerText(point.get('flags')) ?? '0') & NO_RECORDED_VALUE) !== 0n) return 'absent'
  const value = valueOf(point)
  if (value === null) return 'noValue'
  const start = integerText(point.get('startTimeUnixNano')) ?? '0'
  const end = integerText(point.get('timeUnixNano'))
  const time = end === null || end === '0' ? null : timeOf(end)
  if (end === null || time === null) return 'noTime'
  const own = attributesOf(point)
  const ofScope = attributesOf(scope)
  const ofResource = attributesOf(resource)
  const named = isExactObject(scope) ? scope : new Map<string, ExactJson>()
  const identity = JSON.stringify([
    ...[sorted(ofResource), named.get('name') ?? '', named.get('version') ?? '', sorted(ofScope)],
    ...[metric.get('name'), metric.get('unit') ?? '', sorted(own), start, end],
  ])
  const attribute = (name: string): string | undefined =>
    own.get(name) ?? ofScope.get(name) ?? ofResource.get(name)
  return { identity, value, time, attribute }
}

function eventOf({ identity, value, time, attribute }: Point, mapping: KeyedOtlpMapping): string {
  const data: Record<string, string> = {}
  for (const [property, name] of Object.entries(mapping.properties)) {
    const text = attribute(name)
    if (text !== undefined) data[property] = text
  }
  data[mapping.valueProperty] = value
  // Without a subject it is rejected as any event would be, and kept to be seen.
  const subject = attribute(mapping.subjectAttribute)
  return JSON.stringify({
    specversion: '1.0',
    id: hash('sha256', `${mapping.key}\0${identity}`, 'hex').slice(0, 40),
    source: `/otlp/${mapping.key}`,
    type: mapping.eventType,
    ...(subject === undefined ? {} : { subject }),
    time,
    data,
  })
}

function* metricsOf(request: ExactJson) {
  for (const one of listOf(member(request, 'resourceMetrics'))) {
    const resource = member(one, 'resource')
    for (const inScope of listOf(member(one, 'scopeMetrics'))) {
      const scope = member(inScope, 'scope')
      for (const metric of listOf(member(inScope, 'metrics'))) yield { metric, resource, scope }
    }
  }
}

function dataOf(metric: ExactObject): { readonly kind: string; readonly body: ExactObject | null } {
  for (const kind of ['sum', 'gauge', 'histogram', 'exponentialHistogram', 'summary']) {
    const body = metric.get(kind)
    if (isExactObject(body)) return { kind, body }
  }
  return { kind: 'none', body: null }
}

/** Enums are numbers in OTLP's JSON; some exporters write the name. */
function isDelta(temporality: ExactJson | undefined): boolean {
  return temporality === 'AGGREGATION_TEMPORALITY_DELTA' || integerText(temporality) === '1'
}

/** 64-bit integers are texts in OTLP's JSON; numbers are taken, too, as they are spelled. */
function integerText(value: ExactJson | undefined): string | null {
  const text = value instanceof ExactNumber ? value.text : value
  return typeof text === 'string' && INTEGER.test(text) ? String(BigInt(text)) : null
}

/** Plain decimal text; null where there is no finite value. */
function valueOf(point: ExactObject): string | null {
  const whole = point.get('asInt')
  if (whole !== undefined) return integerText(whole)
  const double = point.get('asDouble')
  if (!(double instanceof ExactNumber)) return null
  const value = Number(double.text)
  // The shortest decimal that is this double: what the service meant by 0.1, however its library spelled it.
  return Number.isFinite(value) ? plainNumberText(String(value).replace('e+', 'e')) : null
}

/** RFC 3339 of nanoseconds since 1970; null beyond the years that dates have. */
function timeOf(nanoseconds: string): string | null {
  const at = new Date(Number(BigInt(nanoseconds) / 1_000_000n))
  return Number.isNaN(at.getTime()) ? null : at.toISOString()
}

/** Attributes as text: texts as they are, numbers as they are spelled, anything nested as its JSON. */
function attributesOf(holder: ExactJson | undefined): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>()
  for (const attribute of listOf(member(holder, 'attributes'))) {
    const key = member(attribute, 'key')
    const value = member(attribute, 'value')
    if (typeof key !== 'string' || !isExactObject(value)) continue
    const [held] = value.values()
    if (held === undefined || held === null) continue
    attributes.set(key, typeof held === 'string' ? held : writeExactJson(held))
  }
  return attributes
}

function sorted(attributes: ReadonlyMap<string, string>): readonly (readonly [string, string])[] {
  return [...attributes].sort(([a], [b]) => (a < b ? -1 : 1))
}

function member(value: ExactJson | undefined, name: string): ExactJson | undefined {
  return isExactObject(value) ? value.get(name) : undefined
}

function listOf(value: ExactJson | undefined): readonly ExactJson[] {
  return Array.isArray(value) ? (value as readonly ExactJson[]) : []
}
