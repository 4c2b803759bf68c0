import { hash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { ApiKeyId } from '../../src/id/ids.ts'
import { createApi } from '../../src/http/api.ts'
import { createKeyRoutes } from '../../src/http/keys.ts'
import { createQuotaRoutes } from '../../src/http/quotas.ts'
import { createQuotaBook } from '../../src/provision/quota-book.ts'
import { at, type Gate, openGate, TENANT } from '../support/gate.ts'

interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
  readonly headers: Headers
}

interface Server {
  readonly gate: Gate
  readonly admin: string
  readonly call: (
    method: string,
    path: string,
    body?: unknown,
    options?: { key?: string; headers?: Record<string, string> },
  ) => Promise<Answer>
  readonly settled: { here: number; everywhere: number; isLate: boolean }
}

async function openServer(): Promise<Server> {
  const gate = openGate()
  const authenticator = gate.table
  const settled = { here: 0, everywhere: 0, isLate: false }
  const deps = {
    authenticator,
    settle: async () => {
      settled.here++
    },
    settleEverywhere: async () => {
      settled.everywhere++
      return settled.isLate ? ('late' as const) : ('applied' as const)
    },
  }
  const { keyring, table, store, quotas, holders, meters } = gate
  const book = createQuotaBook({
    store: store.quotas,
    quotas,
    holders,
    meters,
    clock: { now: () => gate.now },
  })
  let requests = 0
  const api = createApi({
    newRequestId: () => `req_${++requests}`,
    onFault: (error) => {
      throw error
    },
  })
  api.route('/', createKeyRoutes({ ...deps, keyring, table, store: store.keys }))
  api.route(
    '/',
    createQuotaRoutes({ ...deps, book, store: store.quotas, newTopUpId: () => `top_${++requests}` }),
  )
  const admin = await keyring.mint({ tenant: TENANT, name: 'administrator', scopes: ['admin'] })
  if (admin.kind !== 'minted') throw new Error(admin.detail)
  return {
    gate,
    admin: admin.key,
    settled,
    call: async (method, path, body, { key = admin.key, headers = {} } = {}) => {
      const response = await api.request(path, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return {
        status: response.status,
        body: (await response.json()) as Answer['body'],
        headers: response.headers,
      }
    },
  }
}

const QUOTA = {
  meter: 'output_tokens',
  unit: 'tokens',
  limit: '200000',
  period: 'month',
  mode: 'observed',
  ladder: [
    { at: '1', action: 'suspend' },
    { at: '0.80', action: 'notify' },
  ],
  onUnavailable: 'open',
}

async function withQuota(): Promise<Server & { readonly key: string; readonly id: string }> {
  const server = await openServer()
  expect((await server.call('PUT', '/v1/quotas/output-tokens', QUOTA)).status).toBe(200)
  const made = await server.call('POST', '/v1/keys', {
    customer: 'acme',
    name: 'k',
    scopes: ['read'],
    quotas: ['output-tokens'],
  })
  expect(made.status).toBe(201)
  return { ...server, key: String(made.body['key']), id: String(made.body['id']) }
}
const use = async (gate: Gate, quantity: bigint): Promise<void> => {
  gate.usage.push(['a', gate.now, quantity])
  await gate.quotas.evaluateAll()
}

describe('/v1/keys', () => {
  it('shows a key once, and settles before it answers', async () => {
    const { call, settled } = await openServer()
    const made = await call('POST', '/v1/keys', { name: 'emitter', scopes: ['ingest'] })
    expect(made.status).toBe(201)
    expect(made.headers.get('cache-control')).toBe('no-store')
    expect(made.headers.get('location')).toBe(`/v1/keys/${String(made.body['id'])}`)
    expect(made.body).toMatchObject({
      status: 'active',
      customer: null,
      scopes: ['ingest'],
      key: expect.stringMatching(/^tm_live_/) as string,
    })
    expect(settled.here).toBe(1)
    const read = await call('GET', `/v1/keys/${String(made.body['id'])}`)
    const { key, ...shown } = made.body
    expect(read.body).toEqual(shown)
    const list = await call('GET', '/v1/keys?limit=1')
    expect(list.body).toMatchObject({ hasMore: true, data: [{ name: 'administrator' }] })
    const next = await call('GET', `/v1/keys?limit=1&cursor=${String(list.body['nextCursor'])}`)
    expect(next.body).toEqual({ data: [shown], hasMore: false, nextCursor: null })
    expect(JSON.stringify([read, list, next])).not.toContain(String(key))
  })

  it('needs the scope admin for changes and read for the rest', async () => {
    const { call } = await openServer()
    const keyWith = async (scope: string): Promise<string> =>
      String((await call('POST', '/v1/keys', { name: scope, scopes: [scope] })).body['key'])
    const [ingest, read] = [await keyWith('ingest'), await keyWith('read')]
    const codes = async (key: string): Promise<unknown[]> => [
      (await call('GET', '/v1/keys', undefined, { key })).status,
      (await call('POST', '/v1/keys', { name: 'x', scopes: [] }, { key })).status,
      (await call('POST', '/v1/keys/verify', { key }, { key })).status,
      (await call('PUT', '/v1/quotas/q', QUOTA, { key })).status,
      (await call('GET', '/v1/quotas', undefined, { key })).status,
    ]
    expect(await codes(ingest)).toEqual([403, 403, 403, 403, 403])
    expect(await codes(read)).toEqual([200, 403, 200, 403, 200])
    expect((await call('GET', '/v1/keys', undefined, { key: 'tm_live_garbled' })).body).toMatchObject({
      status: 401,
      code: 'malformedKey',
    })
  })

  it.each([
    [{ name: 'x', scopes: ['read all'] }, '/scopes/0'],
    [{ name: '', scopes: [] }, '/name'],
    [{ name: 'x', expiresAt: 'tomorrow' }, '/expiresAt'],
    [{ name: 'x', expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt'],
    [{ name: 'x', customer: 'nobody' }, '/customer'],
    [{ name: 'x', ipRanges: ['10.0.0.0/33'] }, '/ipRanges/0'],
    [{ name: 'x', notBefore: '2030-01-01T00:00:00Z', expiresAt: '2029-01-01T00:00:00Z' }, '/notBefore'],
    [{ name: 'x', quotas: ['none'] }, '/quotas'],
    [{ name: 'x', customer: 'acme', quotas: ['none'] }, '/quotas/0'],
    [{ name: 'x', rate: { requestsPerSecond: 0, burst: 1 } }, '/rate/requestsPerSecond'],
  ])('refuses %j at %s', async (body, pointer) => {
    const { call } = await openServer()
    const answer = await call('POST', '/v1/keys', body)
    expect(answer.status).toBe(400)
    expect(answer.body['errors']).toMatchObject([{ pointer }])
  })

  it('imports a key by its hash, and does not show what it does not know', async () => {
    const { call } = await openServer()
    const foreign = 'sk-moved-from-elsewhere'
    for (const encoding of ['hex', 'base64'] as const) {
      const value = hash('sha256', foreign + encoding, encoding)
      const made = await call('POST', '/v1/keys', { name: 'moved', hash: { algorithm: 'sha256', value } })
      expect(made).toMatchObject({ status: 201, body: { key: null, hint: 'imported', lastUsedAt: null } })
      expect((await call('POST', '/v1/keys/verify', { key: foreign + encoding })).body['valid']).toBe(true)
      const again = await call('POST', '/v1/keys', { name: 'moved', hash: { algorithm: 'sha256', value } })
      expect(again.body).toMatchObject({ status: 400, code: 'hashTaken', errors: [{ pointer: '/hash' }] })
    }
    const short = await call('POST', '/v1/keys', { name: 'x', hash: { algorithm: 'sha256', value: 'abc' } })
    expect(short.body['errors']).toMatchObject([{ pointer: '/hash/value' }])
  })

  it('shows when a key was last used', async () => {
    const { call, id, gate } = await withQuota()
    await gate.store.keys.noteUses([{ tenant: TENANT, keyId: id as ApiKeyId, at: gate.now }])
    expect((await call('GET', `/v1/keys/${id}`)).body['lastUsedAt']).toBe('2023-11-15T12:00:00Z')
    expect((await call('GET', '/v1/keys')).body).toMatchObject({
      data: [{ lastUsedAt: null }, { lastUsedAt: '2023-11-15T12:00:00Z' }],
    })
  })

  it('rotates with an overlap, and says when the old key ends', async () => {
    const { call, key, id, gate } = await withQuota()
    const rotated = await call('POST', `/v1/keys/${id}/rotate`, { overlapSeconds: 60 })
    expect(rotated.status).toBe(201)
    expect(rotated.body).toMatchObject({
      rotatedFrom: id,
      previousExpiresAt: '2023-11-15T12:01:00Z',
      quotas: ['output-tokens'],
    })
    expect((await call('GET', `/v1/keys/${id}`)).body).toMatchObject({
      status: 'rotating',
      rotatedTo: rotated.body['id'],
    })
    gate.now = at('2023-11-15T12:01:00Z')
    expect((await call('POST', '/v1/keys/verify', { key })).body).toMatchObject({
      valid: false,
      code: 'expiredKey',
      status: 401,
    })
    expect((await call('POST', '/v1/keys/verify', { key: rotated.body['key'] })).body).toMatchObject({
      valid: true,
    })
    expect((await call('POST', `/v1/keys/${id}/rotate`)).body).toMatchObject({
      status: 409,
      code: 'alreadyRotated',
    })
    const other = await call('POST', '/v1/keys', { name: 'y' })
    const byDefault = await call('POST', `/v1/keys/${String(other.body['id'])}/rotate`)
    expect(byDefault.body['previousExpiresAt']).toBe('2023-11-16T12:01:00Z')
  })

  it('revokes for good; wait=applied answers when it holds everywhere', async () => {
    const { call, id, key, settled } = await withQuota()
    expect((await call('DELETE', `/v1/keys/${id}?wait=applied`)).body).toMatchObject({
      status: 'revoked',
      applied: true,
    })
    expect(settled.everywhere).toBe(1)
    settled.isLate = true
    expect((await call('DELETE', `/v1/keys/${id}?wait=applied`)).body).toMatchObject({ applied: false })
    expect((await call('DELETE', `/v1/keys/${id}`)).body).toMatchObject({ status: 'revoked', applied: false })
    expect((await call('POST', '/v1/keys/verify', { key })).body).toMatchObject({
      valid: false,
      code: 'revokedKey',
    })
    expect((await call('POST', `/v1/keys/${id}/suspend`, { reason: 'x' })).status).toBe(409)
    expect((await call('POST', `/v1/keys/${id}/rotate`)).body['code']).toBe('revokedKey')
    expect((await call('DELETE', '/v1/keys/key_none')).body).toMatchObject({
      status: 404,
      code: 'unknownKey',
    })
    expect((await call('GET', '/v1/keys/key_none')).status).toBe(404)
  })

  it('suspends and resumes by kind, and tells why', async () => {
    const { call, id, key } = await withQuota()
    const suspended = await call('POST', `/v1/keys/${id}/suspend`, { reason: 'unpaid since May' })
    expect(suspended.body).toMatchObject({
      status: 'suspended',
      causes: [{ kind: 'admin', reason: 'unpaid since May' }],
    })
    await call('POST', `/v1/keys/${id}/suspend`, { kind: 'leak', reason: 'seen on a forge' })
    await call('POST', `/v1/keys/${id}/resume`)
    expect((await call('GET', `/v1/keys/${id}/why`)).body).toMatchObject({
      valid: false,
      code: 'keySuspended',
      status: 403,
      causes: [{ kind: 'leak' }],
    })
    await call('POST', `/v1/keys/${id}/resume`, { kind: 'leak' })
    expect((await call('POST', '/v1/keys/verify', { key })).body).toMatchObject({
      valid: true,
      code: 'valid',
      status: 200,
    })
  })
})

describe('/v1/keys/verify', () => {
  it('answers 200 with the whole decision: valid, then refused by the quota with its figures', async () => {
    const { call, gate, key, id } = await withQuota()
    await use(gate, 160_000n)
    expect((await call('POST', '/v1/keys/verify', { key })).body).toMatchObject({
      valid: true,
      code: 'valid',
      status: 200,
      customer: 'acme',
      subject: null,
      remaining: { 'output-tokens': '40000' },
      retryAfterSeconds: null,
    })
    await use(gate, 85_896n)
    const refused = await call('POST', '/v1/keys/verify', { key })
    expect(refused.status).toBe(200)
    expect(refused.body).toMatchObject({
      valid: false,
      code: 'quotaExceeded',
      status: 429,
      customer: 'acme',
      remaining: { 'output-tokens': '0' },
      quota: {
        key: 'output-tokens',
        limit: '200000',
        used: '245896',
        resetAt: '2023-12-01T00:00:00Z',
        unit: 'tokens',
      },
      retryAfterSeconds: 1_339_200,
      detail: expect.stringContaining('245896 of 200000 tokens') as string,
    })
    expect((await call('GET', `/v1/keys/${id}`)).body).toMatchObject({
      status: 'suspended',
      causes: [{ kind: 'quota', quota: 'output-tokens', epoch: '2023-11' }],
    })
    // The key itself opens nothing any more.
    expect((await call('GET', '/v1/keys', undefined, { key })).body).toMatchObject({
      status: 403,
      code: 'keySuspended',
    })
  })

  it('carries the whole HTTP answer, for services in any language', async () => {
    const { call, gate, key } = await withQuota()
    await use(gate, 160_000n)
    expect((await call('POST', '/v1/keys/verify', { key })).body).toMatchObject({
      problem: null,
      headers: {
        'ratelimit-policy': '"output-tokens";q=200000;w=2592000;qu="tokens"',
        ratelimit: '"output-tokens";r=40000;t=1339200',
        'meter-warning': '"output-tokens";level=80',
      },
    })
    await use(gate, 40_000n)
    expect((await call('POST', '/v1/keys/verify', { key })).body).toMatchObject({
      headers: { 'retry-after': '1339200' },
      problem: { status: 429, 'violated-policies': ['output-tokens'], decision: { epoch: '2023-11' } },
    })
  })

  it('takes permissions as a query and the address of the caller', async () => {
    const { call } = await openServer()
    const made = await call('POST', '/v1/keys', {
      name: 'x',
      scopes: ['chat.*', 'model.small'],
      ipRanges: ['203.0.113.0/24'],
    })
    const verify = async (more: object): Promise<unknown> =>
      (await call('POST', '/v1/keys/verify', { key: made.body['key'], ip: '203.0.113.7', ...more })).body[
        'code'
      ]
    expect(await verify({ permission: 'chat.write AND (model.small OR model.large)' })).toBe('valid')
    expect(await verify({ permission: 'chat.write AND model.large' })).toBe('insufficientPermission')
    expect(await verify({ ip: '198.51.100.1' })).toBe('addressNotAllowed')
    const faulty = await call('POST', '/v1/keys/verify', { key: 'x', permission: 'a AND' })
    expect(faulty.body).toMatchObject({ status: 400, errors: [{ pointer: '/permission' }] })
  })

  it('checks a permission, and says nothing of unknown keys', async () => {
    const { call, key } = await withQuota()
    expect((await call('POST', '/v1/keys/verify', { key, permission: 'chat.write' })).body).toMatchObject({
      valid: false,
      code: 'insufficientPermission',
      status: 403,
    })
    expect((await call('POST', '/v1/keys/verify', { key: 'nonsense' })).body).toMatchObject({
      valid: false,
      code: 'malformedKey',
      status: 401,
      keyId: null,
      customer: null,
    })
    expect((await call('POST', '/v1/keys/verify', {})).status).toBe(400)
  })
})

describe('/v1/quotas', () => {
  it('creates, replaces and lists quotas; rungs come in the order of their share', async () => {
    const { call } = await withQuota()
    const read = await call('GET', '/v1/quotas/output-tokens')
    const ladder = [
      { at: '0.8', action: 'notify' },
      { at: '1', action: 'suspend' },
    ]
    expect(read.body).toEqual({ ...QUOTA, ladder, key: 'output-tokens', version: 1 })
    expect((await call('PUT', '/v1/quotas/output-tokens', QUOTA)).body['version']).toBe(1)
    expect((await call('PUT', '/v1/quotas/output-tokens', { ...QUOTA, limit: null })).body).toMatchObject({
      version: 2,
      limit: null,
    })
    expect((await call('GET', '/v1/quotas')).body).toMatchObject({
      data: [{ key: 'output-tokens' }],
      hasMore: false,
    })
    expect((await call('GET', '/v1/quotas/none')).body).toMatchObject({ status: 404, code: 'unknownQuota' })
  })

  it.each([
    [{ limit: '-1' }, '/limit'],
    [{ limit: 200_000 }, '/limit'],
    [{ limit: '1e6' }, '/limit'],
    [{ period: 'fortnight' }, '/period'],
    [{ meter: 'none' }, '/meter'],
    [{ meter: null }, '/meter'],
    [{ ladder: [{ at: '0', action: 'block' }] }, '/ladder/0/at'],
    [
      {
        ladder: [
          { at: '1', action: 'block' },
          { at: '1.0', action: 'block' },
        ],
      },
      '/ladder/1',
    ],
    [{ ladder: [{ at: '1', action: 'block', graceSeconds: 5 }] }, '/ladder/0/graceSeconds'],
    [{ colour: 'red' }, '/colour'],
  ])('refuses %j at %s', async (change, pointer) => {
    const { call } = await openServer()
    const answer = await call('PUT', '/v1/quotas/q', { ...QUOTA, ...change })
    expect(answer.status).toBe(400)
    expect(answer.body['errors']).toMatchObject([{ pointer }])
  })

  it('shows where a subject stands, with the ladder, what was told, and when the keys were suspended', async () => {
    const { call, gate } = await withQuota()
    await use(gate, 245_896n)
    const expected = {
      key: 'output-tokens',
      holder: { kind: 'customer', id: 'acme' },
      limit: '200000',
      used: '245896',
      remaining: '0',
      phase: 'suspended',
      epoch: '2023-11',
      startsAt: '2023-11-01T00:00:00Z',
      resetAt: '2023-12-01T00:00:00Z',
      suspendedAt: '2023-11-15T12:00:00Z',
      notices: [{ rung: '0.8 notify' }, { rung: '1 suspend', firedAt: '2023-11-15T12:00:00Z' }],
    }
    for (const id of ['acme', 'a', 'b']) {
      expect((await call('GET', `/v1/subjects/${id}/quotas`)).body).toMatchObject({
        data: [expected],
        hasMore: false,
      })
    }
    expect((await call('GET', '/v1/subjects/stranger/quotas')).body['data']).toEqual([])
    gate.now = at('2023-12-05T00:00:00Z')
    expect((await call('GET', '/v1/subjects/a/quotas')).body).toMatchObject({
      data: [{ epoch: '2023-12', used: '0', phase: 'open', suspendedAt: null }],
    })
  })

  it('tops up the epoch once per Idempotency-Key, and the key is valid at once', async () => {
    const { call, gate, key } = await withQuota()
    await use(gate, 200_000n)
    const headers = { 'idempotency-key': 'order-7' }
    const topUp = (units: string) =>
      call('POST', '/v1/subjects/acme/quotas/output-tokens/topUp', { units }, { headers })
    expect((await topUp('50000')).body).toMatchObject({
      limit: '250000',
      topUps: '50000',
      remaining: '50000',
      phase: 'open',
    })
    expect((await topUp('50000')).body).toMatchObject({ limit: '250000' })
    expect((await topUp('1')).body).toMatchObject({ status: 409, code: 'idempotencyKeyReused' })
    expect((await call('POST', '/v1/keys/verify', { key })).body).toMatchObject({ valid: true })
    const plain = await call('POST', '/v1/subjects/a/quotas/output-tokens/topUp', { units: '0.5' })
    expect(plain.body).toMatchObject({ limit: '250000.5' })
    expect(
      (await call('POST', '/v1/subjects/stranger/quotas/output-tokens/topUp', { units: '1' })).body,
    ).toMatchObject({ status: 404, code: 'quotaNotHeld' })
    expect((await call('POST', '/v1/subjects/a/quotas/output-tokens/topUp', { units: '0' })).status).toBe(400)
  })

  it('a raised limit lets the keys in before the answer comes', async () => {
    const { call, gate, key } = await withQuota()
    await use(gate, 200_000n)
    await call('PUT', '/v1/quotas/output-tokens', { ...QUOTA, limit: '300000' })
    expect((await call('POST', '/v1/keys/verify', { key })).body).toMatchObject({
      valid: true,
      remaining: { 'output-tokens': '100000' },
    })
  })
})
