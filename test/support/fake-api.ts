import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface SeenRequest {
  readonly method: string
  /** Path without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly authorization: string | undefined
  readonly contentType: string | undefined
  readonly body: unknown
}

export type Answer = {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

interface CloudEvent {
  readonly source: string
  readonly id: string
  readonly time: string
  readonly data: { readonly contextTokens: number | string; readonly generatedTokens: number | string }
}

/**
 * A stand-in for the HTTP API as far as the commands use it: it keeps events by identity and remembers every
 * request. `answer` takes over a request before the built-in answers do; undefined lets them answer.
 */
export interface FakeApi {
  readonly url: string
  readonly key: string
  readonly requests: SeenRequest[]
  readonly events: Map<string, CloudEvent>
  answer: (request: SeenRequest) => Answer | undefined
  /** By the test clock. */
  now: string
  stop(): Promise<void>
}

const FAKE_KEY = 'tm_live_fake'

export async function startFakeApi(): Promise<FakeApi> {
  const resources = new Map<string, unknown>()
  const fake: FakeApi = {
    url: '',
    key: FAKE_KEY,
    requests: [],
    events: new Map(),
    answer: () => undefined,
    now: '',
    stop: () => Promise.resolve(),
  }
  const server = createServer((request, response) => void handle(request, response))
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const url = new URL(request.url ?? '/', 'http://localhost')
    const text = Buffer.concat(chunks).toString('utf8')
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      authorization: request.headers.authorization,
      contentType: request.headers['content-type'],
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
    }
    fake.requests.push(seen)
    const { status, body, headers } = fake.answer(seen) ?? builtIn(fake, resources, seen)
    const type = status >= 400 ? 'application/problem+json' : 'application/json'
    response.writeHead(status, { 'content-type': type, ...headers })
    response.end(body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body))
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(fake, {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
}

export function problem(status: number, code: string, detail: string, errors?: unknown): Answer {
  return { status, body: { type: `urn:tallyman:problem:${code}`, title: code, status, detail, code, errors } }
}

function builtIn(fake: FakeApi, resources: Map<string, unknown>, request: SeenRequest): Answer {
  const { method, path } = request
  if (method === 'POST' && path === '/v1/events') return acceptEvents(fake, request.body as CloudEvent[])
  if (method === 'POST' && path === '/v1/test-clocks') {
    fake.now = (request.body as { now: string }).now
    return { status: 201, body: { id: 'clk_1', now: fake.now } }
  }
  if (path === '/v1/test-clocks/clk_1') return { status: 200, body: { id: 'clk_1', now: fake.now } }
  if (path === '/v1/test-clocks/clk_1/advance') {
    fake.now = (request.body as { to: string }).to
    return { status: 200, body: { id: 'clk_1', now: fake.now } }
  }
  if (method === 'GET' && path.endsWith('/usage')) return usage(fake, request.query)
  if (path === '/v1/keys/verify') return verdict(fake)
  if (path === '/v1/subjects/acme/quotas') return { status: 200, body: { data: [quota(fake)] } }
  if (path === '/v1/reconcile') {
    return {
      status: 200,
      body: { ok: true, checks: [{ name: 'log = journal', ok: true, records: fake.events.size }] },
    }
  }
  if (path === '/v1/invoices/close')
    return { status: 200, body: invoice(fake, request.body as { periodEnd: string }) }
  if (path.startsWith('/v1/invoices/') && /\.(pdf|csv)$/.test(path)) {
    return { status: 200, body: 'document', headers: { 'content-type': 'text/csv' } }
  }
  if (method === 'POST' && path === '/v1/keys')
    return { status: 201, body: { id: 'key_1', key: 'tm_live_made' } }
  if (method === 'POST') {
    const id = `id_${resources.size}`
    resources.set(`${path}/${id}`, { id, ...(request.body as object) })
    return { status: 201, body: { id, ...(request.body as object) } }
  }
  if (method === 'PUT') {
    const stored = { key: path.split('/').at(-1), ...(request.body as object) }
    resources.set(path, stored)
    return { status: 200, body: stored }
  }
  const found = resources.get(path)
  if (found !== undefined) return { status: 200, body: found }
  if (path.split('/').length === 3) {
    const data = [...resources].filter(([at]) => at.startsWith(`${path}/`)).map(([, stored]) => stored)
    return { status: 200, body: { data, nextCursor: null, hasMore: false } }
  }
  return problem(404, 'notFound', `There is no ${path}.`)
}

function acceptEvents(fake: FakeApi, events: readonly CloudEvent[]): Answer {
  let accepted = 0
  for (const event of events) {
    const identity = `${event.source}\0${event.id}`
    if (fake.events.has(identity)) continue
    fake.events.set(identity, event)
    accepted++
  }
  return { status: 202, body: { accepted, duplicates: events.length - accepted, rejected: [] } }
}

function between(fake: FakeApi, from: string, to: string): CloudEvent[] {
  return [...fake.events.values()].filter(
    ({ time }) => Date.parse(time) >= Date.parse(from) && Date.parse(time) < Date.parse(to),
  )
}

function usage(fake: FakeApi, query: URLSearchParams): Answer {
  const [from, to] = [query.get('from') ?? '', query.get('to') ?? '']
  const value = String(between(fake, from, to).length)
  return {
    status: 200,
    body: { data: [{ start: from, end: to, group: {}, value }], asOf: { journal: {}, freshnessSeconds: 0 } },
  }
}

/** Of the calendar month in which the test clock stands. */
function outputTokens(fake: FakeApi): number {
  const month = fake.now.slice(0, 7)
  const events = [...fake.events.values()].filter(({ time }) =>
    new Date(time).toISOString().startsWith(month),
  )
  return events.reduce((sum, { data }) => sum + Number(data.generatedTokens), 0)
}

function quota(fake: FakeApi): unknown {
  const used = outputTokens(fake)
  const reached = (share: number): string | null => (used >= 200_000 * share ? fake.now : null)
  return {
    key: 'output-tokens',
    unit: 'token',
    used: String(used),
    limit: '200000',
    phase: used >= 200_000 ? 'suspended' : 'open',
    suspendedAt: reached(1),
    ladder: [
      { at: '0.8', action: 'notify', reachedAt: reached(0.8) },
      { at: '1', action: 'suspend', reachedAt: reached(1) },
    ],
  }
}

function verdict(fake: FakeApi): Answer {
  const valid = outputTokens(fake) < 200_000
  const refusal = { code: 'quotaExceeded', status: 429, detail: 'The quota "output-tokens" is used up.' }
  return {
    status: 200,
    body: { valid, ...(valid ? { code: 'valid', status: 200, detail: 'The key may be used.' } : refusal) },
  }
}

function invoice(fake: FakeApi, { periodEnd }: { periodEnd: string }): unknown {
  const end = new Date(periodEnd)
  const start = new Date(Date.UTC(end.getUTCFullYear(), end.getUTCMonth() - 1, 1)).toISOString()
  const quantity = String(between(fake, start, periodEnd).length)
  const line = { id: 'line_1', kind: 'usage', price: 'requests', meter: 'requests', quantity, amount: '4.50' }
  return {
    id: `inv_${periodEnd.slice(0, 7)}`,
    number: `TM-${periodEnd.slice(0, 7)}`,
    state: 'issued',
    customer: 'acme',
    currency: 'USD',
    periodStart: start,
    periodEnd,
    lines: [{ ...line, exactAmount: '4.5', explanation: '9 packages × 0.50' }],
    subtotal: '4.50',
    tax: '0.00',
    total: '4.50',
  }
}
