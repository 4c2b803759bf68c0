import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { freePort, type Proxy, PROXIES, type ProxyName, startProxy } from '../support/proxies.ts'
import { call, type ServerProcess, startServer } from '../support/server.ts'

const QUOTA_EXCEEDED = 'https://iana.org/assignments/http-problem-types#quota-exceeded'
const REDUCED_CAPACITY = 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity'
/** Those that tell what the gate decided; the rate limit service knows only yes and no. */
const DECIDING = PROXIES.filter((name) => name !== 'envoy-ratelimit')

const directory = mkdtempSync(join(tmpdir(), 'tallyman-gate-'))
const proxies = new Map<ProxyName, Proxy>()
const seen: IncomingHttpHeaders[] = []
let service: Server
let server: ServerProcess
let customers = 0

beforeAll(async () => {
  service = createServer((request, response) => {
    seen.push(request.headers)
    response.statusCode = request.url === '/broken' ? 500 : 200
    response.end('served')
  })
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve))
  const grpcPort = await freePort()
  server = await startServer({
    dataDirectory: directory,
    env: {
      TALLYMAN_GATE_GRPC_PORT: String(grpcPort),
      TALLYMAN_GATE_TOP_UP_URL: 'https://acme.test/top-up',
      TALLYMAN_GATE_UPGRADE_URL: 'https://acme.test/upgrade',
    },
  })
  const behind = {
    httpPort: Number(new URL(server.apiUrl).port),
    grpcPort,
    servicePort: (service.address() as AddressInfo).port,
  }
  for (const name of PROXIES) proxies.set(name, await startProxy(name, behind))
  const block = [{ at: '1', action: 'block' }]
  await put('/v1/meters/tokens', {
    name: 'Tokens',
    eventType: 'llm.request',
    aggregation: 'sum',
    valueProperty: 'tokens',
  })
  await put('/v1/quotas/calls', {
    unit: 'calls',
    limit: '2',
    period: 'month',
    mode: 'leased',
    ladder: block,
    onUnavailable: 'closed',
  })
  await put('/v1/quotas/credits', {
    meter: 'tokens',
    unit: 'tokens',
    limit: '100',
    period: 'prepaid',
    mode: 'observed',
    ladder: block,
    onUnavailable: 'closed',
  })
})
afterAll(async () => {
  for (const proxy of proxies.values()) await proxy.stop()
  await server.stop()
  await new Promise((resolve) => service.close(resolve))
  rmSync(directory, { recursive: true, force: true })
})

async function put(path: string, body: unknown): Promise<void> {
  const answer = await call(server, 'PUT', path, body)
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300)
}

interface Caller {
  readonly key: string
  readonly id: string
  readonly customer: string
  readonly subject: string
}

/** A key of a customer of its own. */
async function aCaller(request: Record<string, unknown> = {}): Promise<Caller> {
  const customer = `customer-${++customers}`
  const subject = `${customer}-subject`
  await put(`/v1/customers/${customer}`, {
    name: customer,
    currency: 'USD',
    timezone: 'UTC',
    subjects: [subject],
  })
  const made = await call(server, 'POST', '/v1/keys', {
    name: 'caller',
    customer,
    scopes: ['chat.write'],
    ...request,
  })
  expect(made.status, JSON.stringify(made.body)).toBe(201)
  return { key: String(made.body['key']), id: String(made.body['id']), customer, subject }
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly problem: () => unknown
}

async function ask(
  name: ProxyName,
  key: string | null,
  path = '/',
  more: Record<string, string> = {},
): Promise<Answer> {
  const headers = { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...more }
  const response = await fetch(`${proxies.get(name)?.url ?? ''}${path}`, { headers })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    text,
    problem: () => JSON.parse(text) as unknown,
  }
}

/** What every refusal has: section 8 of RFC 9457 and our rule about waiting. */
function expectRefusal(answer: Answer, status: number, retryAfter: 'none' | 'seconds'): void {
  expect(answer.status, answer.text).toBe(status)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(answer.headers.get('cache-control')).toContain('no-store')
  expect(answer.headers.get('x-request-id')).toMatch(/^[\w-]{16,}$/)
  const waits = answer.headers.get('retry-after')
  if (retryAfter === 'none') expect(waits).toBeNull()
  else expect(waits).toMatch(/^[1-9]\d*$/)
}

describe.each(DECIDING)('%s', (name) => {
  it('200: lets in, tells the service who calls whatever the caller says, and the caller what is left', async () => {
    const { key, id, customer } = await aCaller({ quotas: ['calls'] })
    seen.length = 0
    const answer = await ask(name, key, '/some/path?permission=admin&cost.calls=9', {
      'x-gate-key': 'key_mine',
      'x-gate-customer': 'somebody-else',
      'x-gate-subject': 'anybody',
      'x-gate-environment': 'test',
      'x-gate-route': 'permission=everything',
    })
    expect([answer.status, answer.text]).toEqual([200, 'served'])
    expect(answer.headers.get('ratelimit')).toMatch(/^"calls";r=[12];t=\d+$/)
    expect(answer.headers.get('ratelimit-policy')).toMatch(/^"calls";q=2;w=\d+;qu="calls"$/)
    expect(seen).toHaveLength(1)
    const told = ['x-gate-key', 'x-gate-customer', 'x-gate-environment'].map((header) => seen[0]?.[header])
    expect(told).toEqual([id, customer, 'live'])
    // The key has no subject: the caller's word for one must not stand in its place.
    expect(seen[0]?.['x-gate-subject'] ?? '').toBe('')
  })

  it('401: a key that is missing, unknown, garbled or revoked, with a challenge', async () => {
    const missing = await ask(name, null)
    expectRefusal(missing, 401, 'none')
    expect(missing.headers.get('www-authenticate')).toBe('Bearer realm="api"')
    expect(missing.problem()).toMatchObject({ status: 401, code: 'missingKey' })
    const { key, id } = await aCaller()
    const revoked = await call(server, 'DELETE', `/v1/keys/${id}?wait=applied`)
    expect(revoked.status).toBeLessThan(300)
    const garbled = `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`
    for (const [bad, code] of [
      [key, 'revokedKey'],
      [garbled, 'malformedKey'],
      ['another-form', 'malformedKey'],
    ] as const) {
      const refused = await ask(name, bad)
      expectRefusal(refused, 401, 'none')
      expect(refused.headers.get('www-authenticate')).toBe('Bearer realm="api", error="invalid_token"')
      expect(refused.problem()).toMatchObject({ type: 'urn:tallyman:problem:invalid-key', code })
    }
  })

  it('402: credits that are gone, where to buy them, and no hint to wait', async () => {
    const { key, subject } = await aCaller({ quotas: ['credits'] })
    expect((await ask(name, key)).status).toBe(200)
    const sent = await call(
      server,
      'POST',
      '/v1/events',
      {
        specversion: '1.0',
        id: subject,
        source: 'gate-test',
        type: 'llm.request',
        subject,
        time: new Date().toISOString(),
        data: { tokens: '100' },
      },
      { 'content-type': 'application/cloudevents+json' },
    )
    expect(sent.status).toBe(202)
    const broke = await eventually(
      () => ask(name, key),
      ({ status }) => status === 402,
    )
    expectRefusal(broke, 402, 'none')
    expect(broke.headers.get('link')).toBe('<https://acme.test/top-up>; rel="payment"')
    expect(broke.headers.get('ratelimit')).toContain('"credits";r=0')
    expect(broke.problem()).toMatchObject({
      type: 'urn:tallyman:problem:credits-exhausted',
      code: 'creditsExhausted',
      balance: '0',
      topUpUrl: 'https://acme.test/top-up',
      decision: { quota: 'credits' },
    })
  })

  it('403: a permission that is missing, and a suspension with its cause', async () => {
    const reader = await ask(name, (await aCaller({ scopes: ['chat.read'] })).key)
    expectRefusal(reader, 403, 'none')
    expect(reader.problem()).toMatchObject({
      type: 'urn:tallyman:problem:insufficient-scope',
      code: 'insufficientPermission',
    })
    const { key, id } = await aCaller()
    const reason = 'looked at: “déjà vu”'
    const suspended = await call(server, 'POST', `/v1/keys/${id}/suspend`, { kind: 'admin', reason })
    expect(suspended.status).toBe(200)
    const refused = await ask(name, key)
    expectRefusal(refused, 403, 'none')
    expect(refused.problem()).toMatchObject({
      type: 'urn:tallyman:problem:key-suspended',
      causes: [{ kind: 'admin' }],
      detail: expect.stringContaining(reason) as string,
    })
  })

  it('429: a month that is used up until it turns, a rate until the next second', async () => {
    const { key } = await aCaller({ quotas: ['calls'] })
    for (let i = 0; i < 2; i++) expect((await ask(name, key)).status).toBe(200)
    const spent = await ask(name, key)
    expectRefusal(spent, 429, 'seconds')
    expect(spent.problem()).toMatchObject({
      type: QUOTA_EXCEEDED,
      'violated-policies': ['calls'],
      limit: '2',
      used: '2',
      upgradeUrl: 'https://acme.test/upgrade',
      decision: { quota: 'calls' },
    })
    const resetAt = Date.parse((spent.problem() as { readonly resetAt: string }).resetAt)
    const waits = Number(spent.headers.get('retry-after'))
    expect(Math.abs(resetAt - Date.now() - waits * 1000)).toBeLessThan(10_000)
    expect(spent.headers.get('ratelimit')).toMatch(/"calls";r=0;t=\d+/)

    const quick = await aCaller({ rate: { requestsPerSecond: 1, burst: 1 } })
    expect((await ask(name, quick.key)).status).toBe(200)
    const tooFast = await ask(name, quick.key)
    expectRefusal(tooFast, 429, 'seconds')
    expect(tooFast.headers.get('retry-after')).toBe('1')
    expect(tooFast.headers.get('ratelimit')).toMatch(/^"rps";r=0;t=1/)
    expect(tooFast.problem()).toMatchObject({ type: QUOTA_EXCEEDED, 'violated-policies': ['rps'] })
  })

  it('leaves what the service answers as it is', async () => {
    const { key } = await aCaller()
    expect(await ask(name, key, '/broken')).toMatchObject({ status: 500, text: 'served' })
  })
})

describe('envoy-ratelimit', () => {
  const name = 'envoy-ratelimit'

  it('lets in what is within its limits, and refuses the rest with 429 and the reason', async () => {
    const { key } = await aCaller({ quotas: ['calls'] })
    for (let i = 0; i < 2; i++) {
      const answer = await ask(name, key)
      expect([answer.status, answer.text]).toEqual([200, 'served'])
      expect(answer.headers.get('ratelimit')).toMatch(/"calls";r=\d;t=\d+/)
    }
    const spent = await ask(name, key)
    expect(spent.status).toBe(429)
    expect(spent.headers.get('content-type')).toBe('application/problem+json')
    expect(spent.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
    expect(spent.problem()).toMatchObject({ type: QUOTA_EXCEEDED, 'violated-policies': ['calls'] })
  })
})

describe('a service that is away', () => {
  it('is told as that, and not as a gate that cannot decide', async () => {
    const { key } = await aCaller()
    const { port } = service.address() as AddressInfo
    service.closeAllConnections()
    await new Promise((resolve) => service.close(resolve))
    try {
      for (const name of PROXIES) {
        const answer = await ask(name, key)
        expect(answer.status, name).toBe(name.startsWith('envoy') ? 503 : 502)
        expect(answer.text, name).not.toContain('The gate cannot decide')
        expect(answer.headers.get('content-type'), name).not.toBe('application/problem+json')
      }
    } finally {
      await new Promise<void>((resolve) => service.listen(port, '127.0.0.1', resolve))
    }
  })
})

describe('a gate that is away', () => {
  const expectAway = async (name: ProxyName, key: string): Promise<void> => {
    const answer = await ask(name, key)
    expect(answer.status, `${name}: ${answer.text}`).toBe(503)
    expect(answer.headers.get('content-type'), name).toBe('application/problem+json')
    expect(answer.headers.get('retry-after'), name).toMatch(/^[1-5]$/)
    expect(answer.problem(), name).toMatchObject({ type: REDUCED_CAPACITY, code: 'unavailable', status: 503 })
  }

  it('is 503 while it stands still, and lets in again when it goes on', async () => {
    const { key } = await aCaller()
    for (const name of PROXIES) expect((await ask(name, key)).status, name).toBe(200)
    server.freeze()
    try {
      await Promise.all(PROXIES.map((name) => expectAway(name, key)))
    } finally {
      server.thaw()
    }
    for (const name of PROXIES) {
      await eventually(
        () => ask(name, key),
        ({ status }) => status === 200,
      )
    }
  })

  it('is 503 when it is dead, for whatever it would have said', async () => {
    const { key } = await aCaller()
    await server.kill9()
    await Promise.all(PROXIES.map((name) => expectAway(name, key)))
    await Promise.all(PROXIES.map((name) => expectAway(name, 'no key of anybody')))
  })
})
