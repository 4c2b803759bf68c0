import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { getRequestListener } from '@hono/node-server'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { type Authenticator, createApi } from '../../src/http/api.ts'
import { BodyBudget } from '../../src/http/bounded-body.ts'
import { createCompatRoutes } from '../../src/http/compat/routes.ts'
import { createEventRoutes, type EventRoutesDeps } from '../../src/http/events.ts'
import type { ApiKeyId } from '../../src/id/ids.ts'
import { REJECTION_CODES } from '../../src/ingest/rejection.ts'
import { aCloudEvent, aStage, type MetricsSeen, NOW, TENANT } from '../support/ingest.ts'

const KNOWN_CODES = new Set<string>([
  ...REJECTION_CODES,
  'bodyTooLarge',
  'tooManyEvents',
  'unsupportedMediaType',
  'unsupportedEncoding',
  'malformedEncoding',
  'malformedJson',
  'tooDeeplyNested',
  'malformedBatch',
  'malformedCorrections',
  'malformedHeaders',
  'batchRejected',
  'invalidRequest',
  'sessionExpired',
  'missingKey',
])

const authenticator: Authenticator = {
  authenticate: () => ({
    kind: 'authenticated',
    principal: { tenant: TENANT, keyId: 'key_1' as ApiKeyId, scopes: ['ingest'] },
  }),
}

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function aServer(deps: Partial<EventRoutesDeps> = {}): Promise<{
  readonly url: string
  readonly port: number
  readonly faults: unknown[]
  readonly metrics: MetricsSeen
}> {
  const { ingest, metrics, faults } = aStage({ requestBytesMax: 200_000, queueBytesMax: 1_000_000 })
  const api = createApi({ newRequestId: () => 'req_1', onFault: (error) => void faults.push(error) })
  api.route('/', createEventRoutes({ authenticator, ingest, bodyBytesMax: 200_000, ...deps }))
  api.route(
    '/',
    createCompatRoutes({
      authenticator,
      ingest,
      clock: { now: () => NOW },
      newEventId: () => 'generated',
      subjectOfSubscription: () => null,
      bodyBytesMax: 200_000,
    }),
  )
  const listener = getRequestListener(api.fetch, {
    hostname: '127.0.0.1',
    overrideGlobalObjects: false,
  })
  const server = createServer((request, response) => void listener(request, response))
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port, faults, metrics }
}

const hostileText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    '',
    '\u0000',
    '\ud800',
    'a.b',
    '$ne',
    "'; DROP TABLE x --",
    '__void',
  ),
  fc.integer({ min: 200, max: 70_000 }).map((n) => 'x'.repeat(n)),
)
const hostileNumber = fc.oneof(
  fc.double(),
  fc.constantFrom(-0, 1e308, 5e-324, 2 ** 53, 2 ** 53 + 2, Number.MAX_SAFE_INTEGER),
)
const { hostile } = fc.letrec<{ hostile: unknown }>((tie) => ({
  hostile: fc.oneof(
    { maxDepth: 12 },
    hostileText,
    hostileNumber,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('hostile'), { maxLength: 6 }),
    fc.dictionary(hostileText, tie('hostile'), { maxKeys: 6 }),
  ),
}))
const hostileEvent = fc
  .record(
    {
      specversion: fc.oneof(fc.constant('1.0'), hostile),
      id: fc.oneof(hostileText, hostile),
      source: fc.oneof(fc.constant('/s'), hostileText),
      type: fc.oneof(fc.constant('t'), hostileText),
      subject: fc.oneof(fc.constant('u'), hostileText),
      time: fc.oneof(fc.constant('2026-03-01T11:59:00Z'), hostile),
      data: hostile,
      event: hostile,
      events: hostile,
      reason: hostileText,
      payload: hostile,
    },
    { requiredKeys: [] },
  )
  .map((event) => event as unknown)
const document = fc.oneof(
  fc.array(hostileEvent, { maxLength: 5 }),
  hostileEvent,
  hostile,
  fc.record({
    events: fc.array(
      fc.oneof(
        hostileEvent,
        fc.record({ source: hostileText, id: hostileText, reason: hostileText, event: hostileEvent }),
      ),
      { maxLength: 4 },
    ),
  }),
  fc.record({ event: hostileEvent }),
)
/** Bytes: the document, cut, with something put in, or something else altogether. */
const body = fc.oneof(
  { weight: 4, arbitrary: document.map((value) => Buffer.from(JSON.stringify(value))) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        document,
        fc.nat(),
        fc.constantFrom('', '"', '\\', '{', '[', ',', '\u0000', '1e999', '\\ud800'),
        fc.nat(3),
      )
      .map(([value, at, insert, cut]) => {
        const text = JSON.stringify(value)
        const where = at % (text.length + 1)
        return Buffer.from(text.slice(0, where) + insert + text.slice(where + cut))
      }),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('[', '{"a":', '[{"data":', '"'), fc.integer({ min: 1, max: 30_000 }))
      .map(([piece, times]) => Buffer.from(piece.repeat(times).slice(0, 150_000))),
  },
)
const request = fc.record({
  body,
  path: fc.constantFrom(
    '/v1/events',
    '/v1/events?atomic=true&receipts=true',
    '/v1/events?atomic=maybe',
    '/v1/events/void',
    '/v1/events/amend',
    '/api/v1/events',
    '/api/v1/events/batch',
    '/api/v3/openmeter/events',
    '/v1/billing/meter_events',
    '/v1/billing/meter_event_adjustments',
    '/v2/billing/meter_event_session',
    '/v2/billing/meter_event_stream',
  ),
  contentType: fc.constantFrom(
    'application/cloudevents-batch+json',
    'application/cloudevents+json',
    'application/json',
    'application/x-www-form-urlencoded',
    'text/xml',
    '',
  ),
  encoding: fc.constantFrom('none', 'none', 'none', 'gzip', 'gzip of a bomb', 'gzip that is not', 'zstd'),
  binary: fc.option(
    fc.dictionary(fc.stringMatching(/^ce-[a-z]{1,8}$/), fc.stringMatching(/^[!-~]{0,20}$/), { maxKeys: 6 }),
  ),
})

describe('hostile requests', () => {
  it(
    'I5: are answered below 500 with a known code, and leave nothing behind',
    { timeout: 60_000 },
    async () => {
      const { url, faults, metrics } = await aServer()
      await fc.assert(
        fc.asyncProperty(request, async ({ body: bytes, path, contentType, encoding, binary }) => {
          const packed =
            encoding === 'gzip'
              ? gzipSync(bytes)
              : encoding === 'gzip of a bomb'
                ? gzipSync(Buffer.alloc(2_000_000))
                : bytes
          const response = await fetch(url + path, {
            method: 'POST',
            headers: {
              authorization: 'Bearer any',
              ...(contentType === '' ? {} : { 'content-type': contentType }),
              ...(encoding === 'none' ? {} : { 'content-encoding': encoding.split(' ', 1)[0] ?? '' }),
              ...binary,
            },
            body: new Uint8Array(packed),
          })
          const text = await response.text()
          expect(response.status, text).toBeLessThan(500)
          if (response.status >= 400) {
            expect(response.headers.get('content-type')).toBe('application/problem+json')
            const problem = JSON.parse(text) as { readonly code: string; readonly detail: string }
            expect(KNOWN_CODES).toContain(problem.code)
            expect(problem.detail.length).toBeLessThan(1000)
          } else if (response.status === 202 && text !== '') {
            const { rejected } = JSON.parse(text) as {
              readonly rejected: readonly { readonly code: string }[]
            }
            for (const { code } of rejected) expect(REJECTION_CODES).toContain(code)
          }
          expect(metrics.queueBytes()).toBe(0)
        }),
        { numRuns: 300, endOnFailure: true },
      )
      expect(faults).toEqual([])
    },
  )
})

/** A request that is written by hand; resolves with everything the server says until it closes, or the first answer. */
function rawRequest(
  port: number,
  head: string,
): { readonly socket: Socket; readonly answer: Promise<string> } {
  const socket = connect(port, '127.0.0.1')
  const answer = new Promise<string>((resolve, reject) => {
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.includes('\r\n\r\n')) resolve(text)
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
  })
  socket.write(head)
  return { socket, answer }
}

const head = (more: string): string =>
  `POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer any\r\nContent-Type: application/cloudevents+json\r\n${more}\r\n\r\n`

describe('bodies', () => {
  it('that come too slowly are answered 408', async () => {
    const { port } = await aServer({ bodyMsMax: 50 })
    const { socket, answer } = rawRequest(port, head('Content-Length: 1000') + '{"specversion"')
    expect(await answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*bodyTooSlow/)
    socket.destroy()
  })

  it('that say they are too long are answered before they come', async () => {
    const { port } = await aServer()
    const { socket, answer } = rawRequest(port, head('Content-Length: 200001'))
    expect(await answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*bodyTooLarge/)
    socket.destroy()
  })

  it('that do not say how long they are stop at the bound', async () => {
    const { port } = await aServer({ bodyBytesMax: 1000 })
    const chunk = '800\r\n' + 'x'.repeat(0x800) + '\r\n'
    const { socket, answer } = rawRequest(port, head('Transfer-Encoding: chunked') + chunk)
    expect(await answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*bodyTooLarge/)
    socket.destroy()
  })

  it('that are too many together are answered 503, and the next is taken when they are gone', async () => {
    const { port, url } = await aServer({ bodiesBytesMax: 1500 })
    const first = rawRequest(port, head('Content-Length: 2000') + 'x'.repeat(1000))
    const post = (): Promise<Response> =>
      fetch(`${url}/v1/events`, {
        method: 'POST',
        headers: { authorization: 'Bearer any', 'content-type': 'application/cloudevents+json' },
        body: JSON.stringify(aCloudEvent({ data: { a: 'x'.repeat(700) } })),
      })
    await expect.poll(async () => (await post()).status).toBe(503)
    const shed = await post()
    expect(shed.headers.get('retry-after')).toBe('1')
    expect(await shed.json()).toMatchObject({ code: 'overloaded' })
    first.socket.destroy()
    await expect.poll(async () => (await post()).status).toBe(202)
  })
})

describe('BodyBudget', () => {
  it('never holds more than it may', () => {
    const budget = new BodyBudget(100)
    expect(budget.take(60)).toBe(true)
    expect(budget.take(41)).toBe(false)
    expect(budget.bytes).toBe(60)
    expect(budget.take(40)).toBe(true)
    budget.giveBack(60)
    expect(budget.bytes).toBe(40)
  })
})
