import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createForwardAuth, type ProxyAnswer } from '../../src/http/gate/forward-auth.ts'
import type { GateDeps } from '../../src/http/gate/gate-deps.ts'
import { readRequirement } from '../../src/http/gate/question.ts'
import type { LocalGate } from '../../src/provision/local-gate.ts'
import { type Guarding, openGuarding } from '../support/guarding.ts'
import { type Leasing, openLeasing } from '../support/leasing.ts'

let leasing: Leasing
let guarding: Guarding
let faults: unknown[]
beforeEach(async () => {
  leasing = openLeasing()
  guarding = await openGuarding(leasing)
  faults = []
})
afterEach(() => leasing.close())

const deps = (more: Partial<GateDeps> = {}): GateDeps => ({
  gate: guarding.local,
  keyHeader: null,
  newRequestId: () => 'req_1',
  onFault: (error) => faults.push(error),
  ...more,
})

async function ask(
  url: string,
  headers: Record<string, string> = {},
  more: Partial<GateDeps> = {},
): Promise<ProxyAnswer> {
  const asked = createForwardAuth(deps(more))({ url, headers })
  if (asked === null) throw new Error(`no route for ${url}`)
  return asked
}

const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` })
const BROKEN: LocalGate = { check: () => Promise.reject(new Error('the disk is gone')) }

describe('what a route needs', () => {
  it('W10: is a permission and costs, and nothing that is not known', () => {
    expect(
      readRequirement([
        ['permission', 'a AND b'],
        ['cost.calls', '3'],
        ['cost.tokens', '0'],
      ]),
    ).toEqual({
      kind: 'requirement',
      requirement: { permission: 'a AND b', cost: { calls: 3n, tokens: 0n } },
    })
    for (const [name, value] of [
      ['permission', 'a AND'],
      ['cost.calls', '-1'],
      ['cost.calls', '1.5'],
      ['cost.calls', ''],
      ['cost.calls', '1'.repeat(19)],
      ['cost.', '1'],
      ['costs.calls', '1'],
      ['Permission', 'a'],
    ] as const) {
      expect(readRequirement([[name, value]]).kind, `${name}=${value}`).toBe('fault')
    }
  })

  it('that is wrong is told to whoever configures the proxy, and lets nobody in', async () => {
    const { key } = await guarding.key()
    for (const url of ['/v1/gate/authorize?cost.calls=x', '/v1/gate/auth-request?scope=chat.write']) {
      const answer = await ask(url, bearer(key))
      expect([answer.status, JSON.parse(answer.body)]).toMatchObject([500, { code: 'invalidGateRoute' }])
    }
    const envoy = await ask('/v1/gate/ext-authz/', { ...bearer(key), 'x-gate-route': 'x=1' })
    expect(envoy.status).toBe(500)
    expect(await guarding.used()).toBe(0n)
  })
})

describe('a proxy that asks', () => {
  it('is not answered elsewhere', () => {
    const forwardAuth = createForwardAuth(deps())
    for (const url of ['/v1/gate/', '/v1/gate/authorize/', '/v1/gate/ext-authzz', '/v1/keys/verify']) {
      expect(forwardAuth({ url, headers: {} }), url).toBeNull()
    }
  })

  it('is told who calls, and spends what it announces', async () => {
    const { key, keyId } = await guarding.key()
    const answer = await ask('/v1/gate/authorize?permission=chat.write&cost.calls=3', bearer(key))
    expect(answer).toMatchObject({
      route: '/v1/gate/authorize',
      status: 200,
      body: '',
      headers: {
        'x-gate-key': keyId,
        'x-gate-customer': 'acme',
        'x-gate-subject': '',
        'x-gate-environment': 'live',
        'x-request-id': 'req_1',
      },
    })
    expect(await guarding.used()).toBe(3n)
  })

  it('of nginx gets 401 or 403, and in headers what to make of it', async () => {
    const { key } = await guarding.key()
    const spent = await ask('/v1/gate/auth-request?cost.calls=11', bearer(key))
    expect([spent.status, spent.body, spent.headers['x-gate-status']]).toEqual([403, '', '429'])
    expect(JSON.parse(spent.headers['x-gate-problem'] ?? '')).toMatchObject({ code: 'quotaExceeded' })
    // More than a whole month has: waiting does not help.
    expect(spent.headers['retry-after']).toBeUndefined()
    const missing = await ask('/v1/gate/auth-request')
    expect([missing.status, missing.headers['x-gate-status']]).toEqual([401, '401'])
  })

  it('W10: of Envoy states its route in a header; the path and the query are the caller’s', async () => {
    const { key } = await guarding.key()
    const route = { 'x-gate-route': 'permission=chat.write&cost.calls=2' }
    const answer = await ask('/v1/gate/ext-authz/a/b?permission=admin&cost.calls=9', {
      ...bearer(key),
      ...route,
    })
    expect([answer.route, answer.status]).toEqual(['/v1/gate/ext-authz/*', 200])
    expect(await guarding.used()).toBe(2n)
  })

  it('presents the key in Authorization, in X-Api-Key, or where it is configured', async () => {
    const { key } = await guarding.key()
    const status = async (headers: Record<string, string>, keyHeader: string | null = null) =>
      (await ask('/v1/gate/authorize', headers, { keyHeader })).status
    expect(await status({ authorization: `bearer   ${key} ` })).toBe(200)
    expect(await status({ 'x-api-key': key })).toBe(200)
    expect(await status({ 'x-acme-key': key }, 'x-acme-key')).toBe(200)
    expect(await status({ authorization: `Bearer ${key}` }, 'authorization')).toBe(200)
    expect(await status({ authorization: `Basic ${key}` })).toBe(401)
    expect(await status({ 'x-acme-key': key })).toBe(401)
    expect(await status({ 'x-api-key': key }, 'x-acme-key')).toBe(401)
    expect(await status({ 'x-api-key': key }, 'authorization')).toBe(401)
  })

  it('is believed about the address, and of a list only about the last', async () => {
    const { key } = await guarding.key({ ipRanges: ['203.0.113.0/24'] })
    const from = async (list: string) =>
      (await ask('/v1/gate/authorize', { ...bearer(key), 'x-forwarded-for': list })).status
    expect([
      await from('203.0.113.9'),
      await from('198.51.100.1, 203.0.113.9'),
      await from('203.0.113.9, 198.51.100.1'),
      await from(''),
    ]).toEqual([200, 200, 403, 403])
  })

  it('keeps the id that it gave the request, unless it is none', async () => {
    const id = async (told: string) =>
      (await ask('/v1/gate/authorize', { 'x-request-id': told })).headers['x-request-id']
    expect(await id('0af7651916cd43dd')).toBe('0af7651916cd43dd')
    expect(await id('a\r\nset-cookie: b')).toBe('req_1')
    expect(await id('x'.repeat(129))).toBe('req_1')
  })

  it('W11: is told 503 when the gate fails, and never a status that blames the caller', async () => {
    const { key } = await guarding.key()
    for (const [url, status] of [
      ['/v1/gate/authorize', 503],
      ['/v1/gate/auth-request', 403],
      ['/v1/gate/ext-authz/', 503],
    ] as const) {
      const answer = await ask(url, bearer(key), { gate: BROKEN })
      expect(answer).toMatchObject({ status, headers: { 'retry-after': '2' } })
      expect(answer.body + (answer.headers['x-gate-status'] ?? '')).toContain('503')
    }
    expect(faults).toHaveLength(3)
  })
})
