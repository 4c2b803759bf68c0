import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readExactJson } from '../../src/ingest/exact-json.ts'
import { OTLP_REFUSALS, OTLP_REFUSAL_DETAILS, readOtlpMetrics } from '../../src/ingest/otlp.ts'

const MAPPING = {
  key: 'tokens',
  metric: 'llm.tokens',
  eventType: 'llm.request',
  valueProperty: 'tokens',
  subjectAttribute: 'customer.id',
  properties: { model: 'model', region: 'cloud.region' },
}
const text = (key: string, value: string) => `{"key":"${key}","value":{"stringValue":"${value}"}}`
const POINT = (value: string, more = '') =>
  `{"attributes":[${text('customer.id', 'acme')},${text('model', 'm-1')}],"startTimeUnixNano":"1772366400000000000","timeUnixNano":"1772366460000000000",${value}${more}}`
const sum = (point: string, temporality = '1') =>
  `{"name":"llm.tokens","unit":"1","sum":{"aggregationTemporality":${temporality},"isMonotonic":true,"dataPoints":[${point}]}}`
const request = (...metrics: readonly string[]) =>
  `{"resourceMetrics":[{"resource":{"attributes":[${text('cloud.region', 'eu')}]},"scopeMetrics":[{"scope":{"name":"s"},"metrics":[${metrics.join(',')}]}]}]}`

function read(body: string) {
  const json = readExactJson(Buffer.from(body))
  if (json.kind === 'refused') throw new Error(json.detail)
  const { events, refused, unmapped } = readOtlpMetrics(json.value, (metric) =>
    metric === MAPPING.metric ? [MAPPING] : [],
  )
  return {
    events: events.map((event) => JSON.parse(event) as Record<string, unknown>),
    refused: Object.fromEntries(refused),
    unmapped,
  }
}
const valueOf = (value: string): unknown => {
  const [event] = read(request(sum(POINT(value)))).events
  return (event?.['data'] as Record<string, unknown> | undefined)?.['tokens']
}

describe('OTLP metrics', () => {
  it('a delta sum becomes an event of its mapping', () => {
    const { events, refused } = read(request(sum(POINT('"asInt":"12"'))))
    expect(refused).toEqual({})
    expect(events).toEqual([
      {
        specversion: '1.0',
        id: expect.stringMatching(/^[0-9a-f]{40}$/) as string,
        source: '/otlp/tokens',
        type: 'llm.request',
        subject: 'acme',
        time: '2026-03-01T12:01:00.000Z',
        data: { tokens: '12', model: 'm-1', region: 'eu' },
      },
    ])
  })

  it('the id follows from resource, scope, metric, attributes and window, not from their order or the value', () => {
    const idOf = (body: string) => read(body).events[0]?.['id']
    const id = idOf(request(sum(POINT('"asInt":"12"'))))
    const swapped = POINT('"asInt":"12"').replace(
      `${text('customer.id', 'acme')},${text('model', 'm-1')}`,
      `${text('model', 'm-1')},${text('customer.id', 'acme')}`,
    )
    expect(idOf(request(sum(swapped)))).toBe(id)
    const others = [
      request(sum(POINT('"asInt":"12"').replace('1772366460', '1772366461'))),
      request(sum(POINT('"asInt":"12"').replace('1772366400', '1772366401'))),
      request(sum(POINT('"asInt":"12"').replace('m-1', 'm-2'))),
      request(sum(POINT('"asInt":"12"'))).replace('"eu"', '"us"'),
      request(sum(POINT('"asInt":"12"'))).replace('"name":"s"', '"name":"s2"'),
    ].map(idOf)
    expect(new Set([id, ...others]).size).toBe(6)
  })

  it.each([
    ['"asInt":"9223372036854775807"', '9223372036854775807'],
    ['"asInt":42', '42'],
    ['"asInt":"-3"', '-3'],
    ['"asDouble":0.1', '0.1'],
    ['"asDouble":0.10000000000000001', '0.1'],
    ['"asDouble":1e21', '1000000000000000000000'],
    ['"asDouble":1.5e-7', '0.00000015'],
    ['"asDouble":5', '5'],
  ])('%s is %s', (value, expected) => {
    expect(valueOf(value)).toBe(expected)
  })

  it('any double is the shortest decimal that reads as it', () => {
    const doubles = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e20, max: 1e20 })
    fc.assert(
      fc.property(doubles, (double) => {
        fc.pre(Math.abs(double) > 1e-20 || double === 0)
        expect(Number(valueOf(`"asDouble":${double.toExponential()}`))).toBe(double === 0 ? 0 : double)
      }),
    )
  })

  it.each([
    ['cumulative', sum(POINT('"asInt":"1"'), '2')],
    ['cumulative', sum(POINT('"asInt":"1"'), '"AGGREGATION_TEMPORALITY_CUMULATIVE"')],
    ['cumulative', sum(POINT('"asInt":"1"'), '0')],
    ['notASum', `{"name":"llm.tokens","gauge":{"dataPoints":[${POINT('"asInt":"1"')}]}}`],
    ['noValue', sum(POINT('"asDouble":"NaN"'))],
    ['noValue', sum(POINT('"asInt":"1.5"'))],
    ['noTime', sum('{"asInt":"1"}')],
    ['malformed', sum('7')],
    ['malformed', '7'],
  ] as const)('%s is refused with what to do', (reason, metric) => {
    expect(OTLP_REFUSALS).toContain(reason)
    expect(OTLP_REFUSAL_DETAILS[reason]).not.toBe('')
    expect(read(request(metric))).toEqual({ events: [], refused: { [reason]: 1 }, unmapped: 0 })
  })

  it('what has no mapping is counted, and a point without a recorded value is none', () => {
    expect(read(request(sum(POINT('"asInt":"1"')).replace('llm.tokens', 'http.requests')))).toEqual({
      events: [],
      refused: {},
      unmapped: 1,
    })
    expect(read(request(sum(POINT('"asInt":"1"', ',"flags":1'))))).toEqual({
      events: [],
      refused: {},
      unmapped: 0,
    })
    expect(read(request(sum(POINT('"asInt":"1"', ',"flags":0')))).events).toHaveLength(1)
    expect(read('{}')).toEqual({ events: [], refused: {}, unmapped: 0 })
    expect(read('[]')).toEqual({ events: [], refused: {}, unmapped: 0 })
  })
})
