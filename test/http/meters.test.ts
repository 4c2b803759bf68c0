import { describe, expect, it } from 'vitest'
import { openControlApi } from '../support/control-api.ts'

const TOKENS = {
  name: 'Output tokens',
  eventType: 'llm.request',
  aggregation: 'sum',
  valueProperty: '$.usage.output',
  groupBy: { model: 'model' },
  filters: { region: ['eu', 'us'] },
}
const event = (id: string, data: unknown, parts: object = {}) => ({
  specversion: '1.0',
  id,
  source: '/gateway',
  type: 'llm.request',
  subject: 'acme',
  time: '2023-11-16T00:00:00Z',
  data,
  ...parts,
})

describe('/v1/meters', () => {
  it('W1: creates a meter, revises it when another thing is counted, and settles before it answers', async () => {
    const control = openControlApi()
    const made = await control.call('PUT', '/v1/meters/output_tokens', TOKENS)
    expect(made.status).toBe(200)
    expect(made.body).toEqual({
      ...TOKENS,
      key: 'output_tokens',
      valueProperty: 'usage.output',
      revision: 1,
      createdAt: '2026-03-10T12:00:00Z',
      updatedAt: '2026-03-10T12:00:00Z',
    })
    expect(control.settled).toBe(1)
    expect((await control.call('PUT', '/v1/meters/output_tokens', TOKENS)).body).toEqual(made.body)
    const renamed = await control.call('PUT', '/v1/meters/output_tokens', { ...TOKENS, name: 'Tokens' })
    expect(renamed.body).toMatchObject({ name: 'Tokens', revision: 1 })
    const revised = await control.call('PUT', '/v1/meters/output_tokens', { ...TOKENS, filters: {} })
    expect(revised.body).toMatchObject({ revision: 2, filters: {} })
    expect((await control.call('GET', '/v1/meters/output_tokens')).body).toEqual(revised.body)
  })

  it('W5: tells every fault of a body at once, with the nearest name of a misspelt member', async () => {
    const { call } = openControlApi()
    const answer = await call('PUT', '/v1/meters/x', { name: '', eventTyp: 'a', aggregation: 'median' })
    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.body).toMatchObject({ code: 'invalidRequest', status: 400 })
    const errors = answer.body['errors'] as { pointer: string; detail: string }[]
    expect(errors.map(({ pointer }) => pointer)).toEqual(['/eventTyp', '/name', '/eventType', '/aggregation'])
    expect(errors[0]?.detail).toContain('did you mean "eventType"?')
  })

  it.each(['GET', 'PUT'])('%s: a key that is none is told the rule', async (method) => {
    const { call } = openControlApi()
    for (const key of ['-x', 'a%20b', 'a%2Fb', '%00', 'ü', 'x'.repeat(129)]) {
      const answer = await call(method, `/v1/meters/${key}`, method === 'PUT' ? TOKENS : undefined)
      expect(answer.status).toBe(400)
      expect(answer.body['errors']).toEqual([
        { pointer: '/key', detail: expect.stringContaining('must be 1 to 128 letters, digits') as string },
      ])
    }
  })

  it('W6: answers 404 for an unknown meter, and for one of another tenant', async () => {
    const { call } = openControlApi()
    await call('PUT', '/v1/meters/mine', TOKENS)
    for (const [path, key] of [
      ['/v1/meters/none', 'admin'],
      ['/v1/meters/mine', 'other'],
    ] as const) {
      const answer = await call('GET', path, undefined, { key })
      expect([answer.status, answer.body['code']]).toEqual([404, 'unknownMeter'])
    }
    expect((await call('GET', '/v1/meters', undefined, { key: 'other' })).body['data']).toEqual([])
  })

  it('lists by key, page after page, each meter once', async () => {
    const { call } = openControlApi()
    for (const key of ['c', 'a', 'b']) await call('PUT', `/v1/meters/${key}`, TOKENS)
    const keys: unknown[] = []
    let cursor: string | null = null
    do {
      const at: string = cursor === null ? '' : `&cursor=${cursor}`
      const { body } = await call('GET', `/v1/meters?limit=1${at}`)
      keys.push(...(body['data'] as { key: string }[]).map(({ key }) => key))
      expect(body['hasMore']).toBe(body['nextCursor'] !== null)
      cursor = body['nextCursor'] as string | null
    } while (cursor !== null)
    expect(keys).toEqual(['a', 'b', 'c'])
  })
})

describe('POST /v1/meters/test', () => {
  it('says which events count and with which value, by the product’s own reading, and stores nothing', async () => {
    const { call, settled } = openControlApi()
    const big = '12345678901234567890.123456789'
    const { status, body } = await call('POST', '/v1/meters/test', {
      meter: TOKENS,
      events: [
        event('1', { usage: { output: big }, model: 'm', region: 'eu' }),
        event('2', { usage: { output: 0.5 }, region: 'us' }),
        event('3', { usage: { output: '1' }, region: 'asia' }),
        event('4', { usage: { output: '1' } }),
        event('5', { usage: { output: 'many' }, region: 'eu' }),
        event('6', { region: 'eu' }),
        event('7', { usage: { output: '1' }, region: 'eu' }, { type: 'other' }),
        event('1', { usage: { output: '9' }, region: 'eu' }),
        event('8', { usage: { output: '1' }, region: 'eu' }, { subject: '' }),
        event('9', { usage: { output: '0.0000000001' }, region: 'eu' }),
      ],
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({ value: '12345678901234567890.623456789', counted: 2, unusable: 3 })
    const events = body['events'] as { standing: string; value: unknown; group: unknown; detail: string }[]
    expect(events.map(({ standing }) => standing)).toEqual([
      'counted',
      'counted',
      'filteredOut',
      'filteredOut',
      'unusable',
      'unusable',
      'otherType',
      'duplicate',
      'rejected',
      'unusable',
    ])
    expect(events[0]).toMatchObject({ index: 0, id: '1', value: big, group: { model: 'm' } })
    expect(events[1]).toMatchObject({ value: '0.5', group: { model: '' } })
    expect(events[3]?.detail).toContain('has no "region"')
    expect(settled).toBe(0)
    expect((await call('GET', '/v1/meters')).body['data']).toEqual([])
  })

  it('reads numbers in the digits that they were sent with', async () => {
    const { call } = openControlApi()
    const raw = `{"meter":{"name":"n","eventType":"t","aggregation":"sum","valueProperty":"v"},"events":[
      {"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"a","data":{"v":12345678901234567890}},
      {"specversion":"1.0","id":"2","source":"/s","type":"t","subject":"a","data":{"v":1.50}}]}`
    const { body } = await call('POST', '/v1/meters/test', undefined, { raw })
    expect(body['events']).toMatchObject([
      { standing: 'rejected', detail: expect.stringMatching(/digits|string|quotes/i) as string },
      { standing: 'counted', value: '1.5' },
    ])
  })

  it.each([
    ['count', {}, '3'],
    ['sum', { valueProperty: 'v' }, '6.5'],
    ['min', { valueProperty: 'v' }, '1'],
    ['max', { valueProperty: 'v' }, '3.5'],
    ['avg', { valueProperty: 'v' }, '2.166666666667'],
    ['latest', { valueProperty: 'v' }, '2'],
    ['uniqueCount', { valueProperty: 'v' }, '3'],
    ['percentile', { valueProperty: 'v', percentile: '0.5' }, '2'],
    ['timeWeighted', { valueProperty: 'v' }, null],
  ])('%s %o → %s', async (aggregation, more, value) => {
    const { call } = openControlApi()
    const meter = { name: 'n', eventType: 'llm.request', aggregation, ...more }
    const events = [
      event('1', { v: '3.5' }),
      event('2', { v: '2' }, { time: '2023-11-18T00:00:00Z' }),
      event('3', { v: '1' }, { time: '2023-11-17T00:00:00Z' }),
    ]
    const { body } = await call('POST', '/v1/meters/test', { meter, events })
    expect(body['value']).toBe(value)
  })

  it.each(['min', 'max', 'avg', 'latest'])('%s of no event has no value', async (aggregation) => {
    const { call } = openControlApi()
    const meter = { name: 'n', eventType: 't', aggregation, valueProperty: 'v' }
    expect((await call('POST', '/v1/meters/test', { meter, events: [] })).body['value']).toBeNull()
  })

  it('points at the faults of the meter and of the list', async () => {
    const { call } = openControlApi()
    const { status, body } = await call('POST', '/v1/meters/test', {
      meter: { ...TOKENS, aggregation: 'count' },
      events: [1],
      more: true,
    })
    expect(status).toBe(400)
    expect((body['errors'] as { pointer: string }[]).map(({ pointer }) => pointer)).toEqual([
      '/more',
      '/events/0',
      '/meter/valueProperty',
    ])
    const many = await call('POST', '/v1/meters/test', { meter: TOKENS, events: Array(1001).fill({}) })
    expect(many.body['errors']).toEqual([{ pointer: '/events', detail: 'must list at most 1000' }])
  })
})
