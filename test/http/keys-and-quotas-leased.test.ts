import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createApi } from '../../src/http/api.ts'
import { createKeyRoutes } from '../../src/http/keys.ts'
import { createQuotaRoutes } from '../../src/http/quotas.ts'
import { createReservationRoutes } from '../../src/http/reservations.ts'
import { createGatekeeper } from '../../src/provision/gatekeeper.ts'
import { createLeasedQuotas } from '../../src/provision/leased-quotas.ts'
import { createQuotaBook } from '../../src/provision/quota-book.ts'
import { createReservations, type Reservations } from '../../src/provision/reservations.ts'
import { at, type Gate, openGate, TENANT } from '../support/gate.ts'
import { type Leasing, openLeasing } from '../support/leasing.ts'

let leasing: Leasing
beforeEach(() => {
  leasing = openLeasing()
})
afterEach(() => leasing.close())

interface Server {
  readonly gate: Gate
  readonly key: string
  readonly reservations: Reservations
  readonly tick: (ms: number) => void
  readonly call: (
    method: string,
    path: string,
    body?: unknown,
  ) => Promise<{ status: number; body: Record<string, unknown> }>
}

const CALLS = {
  unit: 'calls',
  limit: '1000',
  period: 'month',
  mode: 'leased',
  ladder: [
    { at: '0.8', action: 'notify' },
    { at: '1', action: 'block' },
  ],
}

async function openServer(): Promise<Server> {
  const authority = await leasing.authority()
  const leased = createLeasedQuotas({ authority, testClock: () => leasing.now })
  const gate = openGate({ leased })
  gate.now = leasing.now
  const enforcer = leasing.enforcer(authority, { waitMs: 500 })
  const { table, keyring, store, quotas, holders, meters } = gate
  const gatekeeper = createGatekeeper({ table, enforcer, authority, random: () => 0.5 })
  let monotonicMs = 0
  let ids = 0
  const reservations = createReservations({ newId: () => `rsv_${++ids}`, monotonicMs: () => monotonicMs })
  const book = createQuotaBook({
    store: store.quotas,
    quotas,
    leased,
    holders,
    meters,
    clock: { now: () => gate.now },
  })
  const api = createApi({
    newRequestId: () => `req_${++ids}`,
    onFault: (error) => {
      throw error
    },
  })
  const settle = () => Promise.resolve()
  const deps = { authenticator: table, settle, settleEverywhere: settle }
  api.route('/', createKeyRoutes({ ...deps, keyring, table, gatekeeper, store: store.keys }))
  api.route('/', createQuotaRoutes({ ...deps, book, store: store.quotas, newTopUpId: () => `top_${++ids}` }))
  api.route('/', createReservationRoutes({ authenticator: table, gatekeeper, reservations }))
  const admin = await keyring.mint({ tenant: TENANT, name: 'administrator', scopes: ['admin'] })
  if (admin.kind !== 'minted') throw new Error(admin.detail)
  const call: Server['call'] = async (method, path, body) => {
    const response = await api.request(path, {
      method,
      headers: { authorization: `Bearer ${admin.key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  expect((await call('PUT', '/v1/quotas/calls', CALLS)).status).toBe(200)
  const made = await call('POST', '/v1/keys', { customer: 'acme', name: 'k', quotas: ['calls'] })
  expect(made.status).toBe(201)
  return {
    gate,
    key: String(made.body['key']),
    reservations,
    tick: (ms) => {
      monotonicMs += ms
    },
    call,
  }
}

describe('POST /v1/keys/verify with a cost', () => {
  it('takes the units, to the last one, then refuses with the figures of the books', async () => {
    const { call, key } = await openServer()
    const verify = (units: string) => call('POST', '/v1/keys/verify', { key, cost: { calls: units } })
    expect((await verify('999')).body).toMatchObject({ valid: true, status: 200 })
    expect((await verify('2')).body).toMatchObject({
      valid: false,
      code: 'quotaExceeded',
      status: 429,
      quota: { key: 'calls', limit: '1000', used: '999' },
      headers: { 'retry-after': '1339200' },
      problem: { 'violated-policies': ['calls'], decision: { quota: 'calls', epoch: '2023-11' } },
    })
    expect((await verify('1')).body).toMatchObject({ valid: true })
    expect((await verify('1')).body).toMatchObject({ valid: false, code: 'quotaExceeded' })
    // No period has as much: waiting for the next does not help.
    expect((await verify('1001')).body).toMatchObject({ code: 'quotaExceeded', retryAfterSeconds: null })
  })

  it('refuses a cost that would never be counted, and one that is not a whole number', async () => {
    const { call, key } = await openServer()
    const foreign = await call('POST', '/v1/keys/verify', { key, cost: { tokens: '1' } })
    expect(foreign.body).toMatchObject({
      status: 400,
      code: 'quotaNotHeld',
      errors: [{ pointer: '/cost/tokens' }],
    })
    const fraction = await call('POST', '/v1/keys/verify', { key, cost: { calls: '1.5' } })
    expect(fraction.body).toMatchObject({ status: 400, errors: [{ pointer: '/cost/calls' }] })
  })

  it('a prepaid quota that does not cover the request: 402, no time to wait; a top-up opens it', async () => {
    const { call } = await openServer()
    await call('PUT', '/v1/quotas/credits', { ...CALLS, period: 'prepaid', limit: '0' })
    const { body: made } = await call('POST', '/v1/keys', {
      customer: 'acme',
      name: 'p',
      quotas: ['credits'],
    })
    const verify = () => call('POST', '/v1/keys/verify', { key: made['key'], cost: { credits: '5' } })
    // A limit of nothing is used up from the start: the ladder's last rung is reached.
    expect((await verify()).body).toMatchObject({
      code: 'creditsExhausted',
      status: 402,
      retryAfterSeconds: null,
    })
    const topUp = await call('POST', '/v1/subjects/acme/quotas/credits/topUp', { units: '7' })
    expect(topUp.body).toMatchObject({ limit: '7', topUps: '7', phase: 'open' })
    expect((await verify()).body).toMatchObject({ valid: true })
    expect((await verify()).body).toMatchObject({
      code: 'creditsExhausted',
      status: 402,
      problem: { balance: '2', needed: '5' },
    })
    expect(
      (await call('POST', '/v1/subjects/acme/quotas/credits/topUp', { units: '0.5' })).body,
    ).toMatchObject({
      status: 400,
      errors: [{ pointer: '/units' }],
    })
  })
})

describe('/v1/reservations', () => {
  it('holds the most that work can cost, and frees what it did not', async () => {
    const { call, key } = await openServer()
    const held = await call('POST', '/v1/reservations', { key, cost: { calls: '800' } })
    expect(held).toMatchObject({
      status: 201,
      body: { valid: true, id: expect.stringMatching(/^rsv_/) as string },
    })
    const second = await call('POST', '/v1/reservations', { key, cost: { calls: '300' } })
    expect(second).toMatchObject({
      status: 200,
      body: {
        valid: false,
        id: null,
        code: 'inFlightBudget',
        status: 429,
        retryAfterSeconds: 1,
        problem: { needed: '300' },
      },
    })
    const path = `/v1/reservations/${String(held.body['id'])}`
    expect((await call('POST', `${path}/commit`, { used: { calls: '100' } })).body).toMatchObject({
      state: 'committed',
    })
    expect((await call('POST', `${path}/commit`, { used: { calls: '100' } })).status).toBe(200)
    expect((await call('POST', `${path}/commit`, { used: { calls: '101' } })).body['code']).toBe(
      'reservationEnded',
    )
    expect((await call('POST', `${path}/release`)).status).toBe(409)
    expect((await call('POST', '/v1/keys/verify', { key, cost: { calls: '900' } })).body['valid']).toBe(true)
    expect((await call('POST', '/v1/keys/verify', { key, cost: { calls: '1' } })).body['valid']).toBe(false)
  })

  it('a release frees everything; there is none of another name', async () => {
    const { call, key } = await openServer()
    const held = await call('POST', '/v1/reservations', { key, cost: { calls: '1000' } })
    expect((await call('POST', `/v1/reservations/${String(held.body['id'])}/release`)).body).toMatchObject({
      state: 'released',
    })
    expect((await call('POST', '/v1/keys/verify', { key, cost: { calls: '1000' } })).body['valid']).toBe(true)
    expect((await call('POST', '/v1/reservations/rsv_none/release')).status).toBe(404)
    expect((await call('POST', '/v1/reservations', { key, cost: {} })).status).toBe(400)
  })

  it('one that is forgotten ends as used in full: it is never free', async () => {
    const { call, key, reservations, tick } = await openServer()
    await call('POST', '/v1/reservations', { key, cost: { calls: '1000' }, ttlSeconds: 60 })
    tick(59_999)
    expect(reservations.expire()).toBe(0)
    tick(1)
    expect([reservations.expire(), reservations.size()]).toEqual([1, 0])
    expect((await call('POST', '/v1/keys/verify', { key, cost: { calls: '1' } })).body['code']).toBe(
      'quotaExceeded',
    )
  })
})

describe('PUT /v1/quotas of the mode leased', () => {
  it.each([
    [{ limit: '0.5' }, 'limitFraction', '/limit'],
    [{ ladder: [{ at: '1', action: 'overage' }] }, 'rungNotLeased', '/ladder/0/action'],
  ])('refuses %j: %s', async (change, code, pointer) => {
    const { call } = await openServer()
    const answer = await call('PUT', '/v1/quotas/other', { ...CALLS, ...change })
    expect(answer.body).toMatchObject({ status: 400, code, errors: [{ pointer }] })
  })

  it('a raised limit is in the books before the answer; the next period begins with all of it', async () => {
    const { call, key, gate } = await openServer()
    const verify = (units: string) => call('POST', '/v1/keys/verify', { key, cost: { calls: units } })
    await verify('1000')
    await call('PUT', '/v1/quotas/calls', { ...CALLS, limit: '1500' })
    expect((await verify('500')).body['valid']).toBe(true)
    expect((await call('GET', '/v1/subjects/acme/quotas')).body).toMatchObject({
      data: [{ key: 'calls', limit: '1500' }],
    })
    leasing.now = at('2023-12-02T00:00:00Z')
    gate.now = leasing.now
    expect((await verify('1500')).body['valid']).toBe(true)
    expect((await call('GET', '/v1/subjects/acme/quotas')).body).toMatchObject({
      data: [{ epoch: '2023-12' }],
    })
  })
})
