import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  createRemoteGate,
  type GateOutcome,
  guardExpress,
  guardFastify,
  guardFetch,
  guardHono,
  type NodeRequest,
} from '../../client/gate/index.ts'
import type { LocalGate } from '../../src/provision/local-gate.ts'
import { type Guarding, openGuarding } from '../support/guarding.ts'
import { type Leasing, openLeasing } from '../support/leasing.ts'

let leasing: Leasing
let guarding: Guarding
beforeEach(async () => {
  leasing = openLeasing()
  guarding = await openGuarding(leasing)
})
afterEach(() => leasing.close())

type Handler = (gate: GateOutcome) => Promise<number> | number
type Served = (key: string | null) => Promise<Response>
interface Framework {
  readonly name: string
  readonly serve: (gate: LocalGate, handler: Handler) => Promise<{ call: Served; close: () => Promise<void> }>
}

const options = (gate: LocalGate) => ({ gate, permission: 'chat.write', cost: () => ({ calls: 2n }) })
const headersOf = (key: string | null): Record<string, string> =>
  key === null ? {} : { authorization: `Bearer ${key}` }

const FRAMEWORKS: readonly Framework[] = [
  {
    name: 'fetch',
    async serve(gate, handler) {
      const guard = guardFetch(
        options(gate),
        async (_, outcome) => new Response('', { status: await handler(outcome) }),
      )
      return {
        call: (key) => guard(new Request('http://api.test/', { headers: headersOf(key) })),
        close: nothing,
      }
    },
  },
  {
    name: 'Hono',
    async serve(gate, handler) {
      const app = new Hono<{ Variables: { gate: GateOutcome } }>()
      app.use('*', guardHono(options(gate)))
      app.get('/', async (c) => new Response('', { status: await handler(c.get('gate')) }))
      app.onError(() => new Response('', { status: 500 }))
      return { call: async (key) => app.request('/', { headers: headersOf(key) }), close: nothing }
    },
  },
  {
    name: 'Express',
    serve: (gate, handler) => {
      const guard = guardExpress<IncomingMessage & NodeRequest>(options(gate))
      return listen((request, response) => {
        guard(request, response, () => void respond(request, response, handler))
      })
    },
  },
  {
    name: 'Fastify',
    serve: (gate, handler) => {
      const guard = guardFastify<IncomingMessage & NodeRequest>(options(gate))
      return listen((request, response) => {
        let isHijacked = false
        const reply = {
          raw: response,
          hijack: () => {
            isHijacked = true
          },
        }
        void guard(request, reply).then(() => (isHijacked ? undefined : respond(request, response, handler)))
      })
    },
  },
]

function nothing(): Promise<void> {
  return Promise.resolve()
}

async function respond(request: NodeRequest, response: ServerResponse, handler: Handler): Promise<void> {
  try {
    if (request.gate === undefined) throw new Error('no outcome')
    response.writeHead(await handler(request.gate)).end()
  } catch {
    response.writeHead(500).end()
  }
}

async function listen(handle: (request: IncomingMessage & NodeRequest, response: ServerResponse) => void) {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    call: (key: string | null) => fetch(`http://127.0.0.1:${port}/`, { headers: headersOf(key) }),
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

describe.each(FRAMEWORKS)('the guard for $name', ({ serve }) => {
  it('lets in with RateLimit fields, tells the handler who calls, and settles what it did not', async () => {
    const { key, keyId } = await guarding.key()
    const callers: unknown[] = []
    const { call, close } = await serve(guarding.local, (gate) => {
      callers.push(gate.caller)
      return 200
    })
    const answer = await call(key)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('ratelimit-policy')).toContain('"calls";q=10;w=2592000;qu="calls"')
    expect(callers).toMatchObject([{ keyId, customer: 'acme', environment: 'live' }])
    await close()
    expect(await guarding.used()).toBe(2n)
  })

  it('refuses before the handler runs: 401, 403, 429', async () => {
    const { key } = await guarding.key()
    const other = await guarding.key({ scopes: ['chat.read'] })
    let handled = 0
    const { call, close } = await serve(guarding.local, () => {
      handled++
      return 200
    })
    const missing = await call(null)
    expect([missing.status, missing.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="api"'])
    expect(await missing.json()).toMatchObject({ code: 'missingKey' })
    const forbidden = await call(other.key)
    expect([forbidden.status, forbidden.headers.get('content-type')]).toEqual([
      403,
      'application/problem+json',
    ])
    for (let i = 0; i < 5; i++) expect((await call(key)).status).toBe(200)
    const spent = await call(key)
    expect([spent.status, spent.headers.get('retry-after')]).toEqual([429, '1339200'])
    expect(await spent.json()).toMatchObject({ code: 'quotaExceeded', 'violated-policies': ['calls'] })
    expect(handled).toBe(5)
    await close()
  })

  it('charges what the handler says, and nothing for a fault of its own', async () => {
    const { key } = await guarding.key()
    const answers: (() => Promise<number>)[] = []
    const { call, close } = await serve(guarding.local, async (gate) => {
      const next = answers.shift()
      if (next === undefined) await gate.settle({ calls: 1n })
      return next === undefined ? 200 : next()
    })
    expect((await call(key)).status).toBe(200)
    answers.push(() => Promise.resolve(503))
    expect((await call(key)).status).toBe(503)
    await close()
    expect(await guarding.used()).toBe(1n)
  })
})

describe('a remote gate', () => {
  const open = (respond: (path: string, body: unknown) => Response, more: object = {}) => {
    const asked: [string, unknown][] = []
    const faults: unknown[] = []
    const gate = createRemoteGate({
      url: 'http://gate.test',
      apiKey: 'tm_live_x',
      onFault: (error) => faults.push(error),
      fetch: async (input, init) => {
        const path = new URL(input instanceof Request ? input.url : input).pathname
        const body = JSON.parse(typeof init?.body === 'string' ? init.body : '') as unknown
        asked.push([path, body])
        return respond(path, body)
      },
      ...more,
    })
    return { gate, asked, faults }
  }
  const valid = {
    valid: true,
    status: 200,
    keyId: 'key_1',
    customer: 'acme',
    subject: null,
    environment: 'live',
    scopes: [],
    headers: { ratelimit: 'x' },
    problem: null,
  }

  it('verifies, or reserves where it costs units, and ends the reservation once', async () => {
    const { gate, asked } = open((path) =>
      Response.json(path === '/v1/reservations' ? { ...valid, id: 'rsv_1' } : valid),
    )
    const plain = await gate.check({ key: 'k', permission: 'a' })
    expect([plain.isAllowed, plain.caller?.customer, plain.answer.headers]).toEqual([
      true,
      'acme',
      { ratelimit: 'x' },
    ])
    const outcome = await gate.check({ key: 'k', cost: { calls: 5n } })
    await outcome.settle({ calls: 3n })
    await outcome.release()
    expect(asked).toEqual([
      ['/v1/keys/verify', { key: 'k', permission: 'a', ip: null }],
      ['/v1/reservations', { key: 'k', permission: null, ip: null, cost: { calls: '5' } }],
      ['/v1/reservations/rsv_1/commit', { used: { calls: '3' } }],
    ])
  })

  it('refuses with what the server says, and asks nobody about a missing key', async () => {
    const problem = { status: 429, code: 'rateLimited' }
    const { gate, asked } = open(() =>
      Response.json({ ...valid, valid: false, status: 429, headers: { 'retry-after': '1' }, problem }),
    )
    const outcome = await gate.check({ key: 'k' })
    expect(outcome).toMatchObject({
      isAllowed: false,
      caller: { customer: 'acme' },
      answer: { status: 429, problem },
    })
    expect(await gate.check({ key: null })).toMatchObject({ isAllowed: false, answer: { status: 401 } })
    expect(asked).toHaveLength(1)
  })

  it.each([
    ['closed', false, 503],
    ['open', true, 200],
  ] as const)('that does not answer: %s', async (onUnavailable, isAllowed, status) => {
    const { gate, faults } = open(() => new Response('away', { status: 500 }), { onUnavailable })
    expect(await gate.check({ key: 'k' })).toMatchObject({ isAllowed, answer: { status } })
    expect(faults).toHaveLength(1)
  })
})
