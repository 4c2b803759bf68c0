import { describe, expect, it } from 'vitest'
import { createApi, createRouter } from '../../src/http/api.ts'
import { JSON_BODY_BYTES_MAX } from '../../src/http/json-body.ts'
import { openControlApi } from '../support/control-api.ts'

const METER = { name: 'Requests', eventType: 'llm.request', aggregation: 'count' }

describe('methods and paths', () => {
  it('answers 405 with Allow where the path has other methods', async () => {
    const { call } = openControlApi()
    for (const [method, path, allow] of [
      ['POST', '/v1/meters/x', 'GET, HEAD, PUT, OPTIONS'],
      ['DELETE', '/v1/customers', 'GET, HEAD, OPTIONS'],
      ['GET', '/v1/test-clocks/x/advance', 'POST, OPTIONS'],
      ['PATCH', '/v1/subscriptions', 'GET, HEAD, POST, OPTIONS'],
    ] as const) {
      const answer = await call(method, path, undefined, { key: '' })
      expect([answer.status, answer.body['code'], answer.headers.get('allow')]).toEqual([
        405,
        'methodNotAllowed',
        allow,
      ])
    }
  })

  it('answers OPTIONS with 204 and Allow, without a key', async () => {
    const { call } = openControlApi()
    const answer = await call('OPTIONS', '/v1/plans/p', undefined, { key: '' })
    expect([answer.status, answer.headers.get('allow')]).toEqual([204, 'GET, HEAD, PUT, OPTIONS'])
    expect((await call('OPTIONS', '/v1/nothing', undefined, { key: '' })).status).toBe(404)
  })

  it('answers HEAD as GET, without the body', async () => {
    const { api } = openControlApi()
    const headers = { authorization: 'Bearer read' }
    const response = await api.request('/v1/meters', { method: 'HEAD', headers })
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect((await api.request('/v1/meters/none', { method: 'HEAD', headers })).status).toBe(404)
  })

  it('does not take a path that ends with a slash for the list, and says so', async () => {
    const { call } = openControlApi()
    const answer = await call('GET', '/v1/customers/')
    expect([answer.status, answer.body['code']]).toEqual([404, 'unknownRoute'])
    expect(answer.body['detail']).toBe(
      'There is no GET /v1/customers/. No path ends with "/"; there is /v1/customers.',
    )
    expect((await call('GET', '/v2/anything')).body['detail']).toContain('/openapi.json')
  })

  it('names every answer, and a problem by the same name', async () => {
    const { call } = openControlApi()
    const good = await call('GET', '/v1/meters')
    expect(good.headers.get('x-request-id')).toBe('req_1')
    const bad = await call('GET', '/v1/meters/none')
    expect([bad.headers.get('x-request-id'), bad.body['instance']]).toEqual(['req_2', 'req_2'])
    expect(bad.body).toMatchObject({ type: 'urn:tallyman:problem:unknownMeter', title: 'No such meter' })
  })
})

describe('keys', () => {
  it('W2: 401 without a key or with an unknown one, 403 without the scope, before the body is looked at', async () => {
    const { call } = openControlApi()
    const put = (key: string) => call('PUT', '/v1/meters/x', undefined, { key, raw: '{' })
    const missing = await put('')
    expect([missing.status, missing.body['code']]).toEqual([401, 'missingKey'])
    expect(missing.headers.get('www-authenticate')).toBe('Bearer realm="api"')
    expect((await put('nobody')).body).toMatchObject({ status: 401, code: 'unknownKey' })
    expect((await put('read')).body).toMatchObject({ status: 403, code: 'insufficientScope' })
    expect((await put('ingest')).status).toBe(403)
    expect((await put('admin')).body).toMatchObject({ status: 400, code: 'malformedJson' })
    expect((await call('GET', '/v1/meters', undefined, { key: 'ingest' })).status).toBe(403)
  })
})

describe('bodies', () => {
  it.each([
    ['text/plain', 415, 'unsupportedMediaType'],
    ['application/x-www-form-urlencoded', 415, 'unsupportedMediaType'],
    ['application/jsonp', 415, 'unsupportedMediaType'],
    ['application/json', 200, undefined],
    ['application/json; charset=utf-8', 200, undefined],
    ['Application/JSON', 200, undefined],
    ['application/merge-patch+json', 200, undefined],
  ])('Content-Type: %s → %i', async (type, status, code) => {
    const { call } = openControlApi()
    const answer = await call('PUT', '/v1/meters/x', METER, { headers: { 'content-type': type } })
    expect([answer.status, answer.body['code']]).toEqual([status, code])
    if (status === 415) expect(answer.headers.get('accept')).toBe('application/json')
  })

  it('415 for a packed body, and it says where packed ones are read', async () => {
    const { call } = openControlApi()
    const answer = await call('PUT', '/v1/meters/x', METER, { headers: { 'content-encoding': 'gzip' } })
    expect([answer.status, answer.body['code']]).toEqual([415, 'unsupportedEncoding'])
    expect(answer.headers.get('accept-encoding')).toBe('identity')
  })

  it('413 beyond the limit, told by the header or found while reading', async () => {
    const { call, api } = openControlApi()
    const raw = JSON.stringify({ ...METER, name: 'x'.repeat(JSON_BODY_BYTES_MAX) })
    const told = await call('PUT', '/v1/meters/x', undefined, {
      raw,
      headers: { 'content-length': String(raw.length) },
    })
    expect([told.status, told.body['code']]).toEqual([413, 'bodyTooLarge'])
    const found = await api.request('/v1/meters/x', {
      method: 'PUT',
      headers: { authorization: 'Bearer admin', 'content-type': 'application/json' },
      body: new Blob([raw]).stream(),
      duplex: 'half',
    })
    expect(found.status).toBe(413)
  })

  it.each([
    ['malformedJson', '{"name":'],
    ['malformedJson', ' '],
    ['malformedJson', Uint8Array.of(0x22, 0xff, 0x22)],
    ['malformedJson', Uint8Array.of(0x22, 0xc0, 0xa0, 0x22)],
    ['invalidText', '{"name":"a\\u0000b"}'],
    ['invalidText', '{"name":"\\ud800"}'],
    ['invalidText', '{"\\udfff":1}'],
  ])('W3: %s: 400 for %o', async (code, raw) => {
    const { call } = openControlApi()
    const answer = await call('PUT', '/v1/meters/x', undefined, { raw })
    expect([answer.status, answer.body['code']]).toEqual([400, code])
  })

  it('takes text that only looks like what cannot be kept', async () => {
    const { call } = openControlApi()
    const raw = JSON.stringify(METER).replace('Requests', '\\\\u0000 \\\\ud800 \\ud83d\\ude00')
    const answer = await call('PUT', '/v1/meters/x', undefined, { raw })
    expect([answer.status, answer.body['name']]).toEqual([200, '\\u0000 \\ud800 😀'])
  })

  it('a missing body is told; an empty one of a stated type is none', async () => {
    const { call } = openControlApi()
    const missing = await call('PUT', '/v1/meters/x')
    expect([missing.status, missing.body['detail']]).toEqual([400, 'The body is missing.'])
    const headers = { 'content-type': 'application/json' }
    expect((await call('POST', '/v1/test-clocks', undefined, { headers })).status).toBe(201)
  })
})

describe('queries', () => {
  it.each([
    ['limit=0', '/limit', 'must be a whole number from 1 to 100'],
    ['limit=101', '/limit', 'must be a whole number from 1 to 100'],
    ['limit=ten', '/limit', 'must be a whole number from 1 to 100'],
    ['limit=1e1', '/limit', 'must be a whole number from 1 to 100'],
    ['limit=', '/limit', 'must be a whole number from 1 to 100'],
    ['limit=1&limit=2', '/limit', 'is given more than once'],
    ['customer=a&customer=b', '/customer', 'is given more than once'],
    ['costumer=a', '/costumer', 'did you mean "customer"?'],
    ['customer=a%00', '/customer', 'must be 1 to 128'],
  ])('%s: 400 at %s', async (query, pointer, detail) => {
    const { call } = openControlApi()
    const answer = await call('GET', `/v1/subscriptions?${query}`)
    expect([answer.status, answer.body['code']]).toEqual([400, 'invalidRequest'])
    expect(answer.body['errors']).toEqual([{ pointer, detail: expect.stringContaining(detail) as string }])
  })

  it.each(['%00', 'bm9uZQ==', 'AA', '-', 'x'.repeat(200)])('invalidCursor: cursor=%s', async (cursor) => {
    const { call } = openControlApi()
    const answer = await call('GET', `/v1/meters?cursor=${cursor}`)
    expect([answer.status, answer.body['code']]).toEqual([400, 'invalidCursor'])
  })
})

describe('measures and faults', () => {
  it('W9: tells method, pattern, status and time of every answer, and no path', async () => {
    const seen: { method: string; route: string; status: number; seconds: number }[] = []
    const { call } = openControlApi({ answered: (request) => void seen.push(request) })
    await call('PUT', '/v1/meters/x', METER)
    await call('GET', '/v1/meters/x')
    await call('GET', '/v1/meters/none')
    await call('GET', '/v1/meters/x', undefined, { key: '' })
    await call('DELETE', '/v1/meters/x')
    await call('GET', '/nothing/here')
    expect(seen.map(({ method, route, status }) => `${method} ${route} ${status}`)).toEqual([
      'PUT /v1/meters/:key 200',
      'GET /v1/meters/:key 200',
      'GET /v1/meters/:key 404',
      'GET /v1/meters/:key 401',
      'DELETE none 405',
      'GET none 404',
    ])
    for (const { seconds } of seen) expect(seconds).toBeGreaterThan(0)
  })

  it('W4: answers a fault of ours with 500 and no word of it, tells the shell, and measures it', async () => {
    const faults: unknown[] = []
    const statuses: number[] = []
    const api = createApi({
      newRequestId: () => 'req_1',
      onFault: (error, requestId) => void faults.push([error, requestId]),
      metrics: { answered: ({ status }) => void statuses.push(status) },
    })
    const broken = createRouter()
    // A fault that looks like a client's: stored JSON that does not parse is ours all the same.
    const fault = new SyntaxError('secret')
    broken.get('/v1/broken', () => {
      throw fault
    })
    api.route('/', broken)
    const response = await api.request('/v1/broken')
    expect(response.status).toBe(500)
    const text = await response.text()
    expect(text).not.toContain('secret')
    expect(JSON.parse(text)).toMatchObject({ code: 'internal', instance: 'req_1' })
    expect([faults, statuses]).toEqual([[[fault, 'req_1']], [500]])
  })
})
