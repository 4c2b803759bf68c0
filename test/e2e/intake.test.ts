import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { call, cleanEnvironment, type ServerProcess, startServer } from '../support/server.ts'

let directory: string
let server: ServerProcess

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tallyman-test-'))
  server = await startServer({ dataDirectory: directory })
})
afterAll(async () => {
  await server.stop()
  rmSync(directory, { recursive: true, force: true })
})

const api = (method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>) =>
  call(server, method, path, body, headers)

const anEvent = (id: string, members: Readonly<Record<string, unknown>> = {}) => ({
  specversion: '1.0',
  id,
  source: '/gateway',
  type: 'llm.request',
  subject: 'acme',
  data: { tokens: 12 },
  ...members,
})
const send = (...events: readonly unknown[]) => api('POST', '/v1/events', events)

describe('schemas of event types over HTTP', () => {
  const schema = { type: 'object', required: ['tokens'], properties: { tokens: { type: 'integer' } } }
  /** A type that is no resource key. */
  const type = 'com.example/llm request'
  const path = `/v1/event-schemas/${encodeURIComponent(type)}`

  it('are in force with the answer, and gone with it', async () => {
    const put = await api('PUT', path, { schema })
    expect(put).toMatchObject({ status: 200, body: { type, schema, revision: 1 } })
    const bad = anEvent('schema-1', { type, data: { tokens: 'many' } })
    const good = anEvent('schema-2', { type, data: { tokens: 5 } })
    expect(await send(good, bad)).toMatchObject({
      status: 202,
      body: {
        accepted: 1,
        rejected: [
          {
            index: 1,
            id: 'schema-1',
            code: 'schemaMismatch',
            errors: [{ pointer: '/data/tokens', detail: 'must be integer' }],
          },
        ],
      },
    })
    expect(await api('PUT', path, { schema: { type: 'object' } })).toMatchObject({ body: { revision: 2 } })
    expect(await send(anEvent('schema-3', { type, data: { tokens: 'many' } }))).toMatchObject({
      body: { accepted: 1 },
    })
    expect(await api('GET', path)).toMatchObject({ status: 200, body: { type, revision: 2 } })
    expect((await api('DELETE', path)).status).toBe(204)
    expect(await api('GET', path)).toMatchObject({ status: 404, body: { code: 'unknownEventSchema' } })
    expect((await api('DELETE', path)).status).toBe(404)
  })

  it('are listed page by page, by the bytes of their types', async () => {
    const types = ['B.type', 'a.type', 'ä.type']
    for (const one of types) await api('PUT', `/v1/event-schemas/${encodeURIComponent(one)}`, { schema })
    const first = await api('GET', '/v1/event-schemas?limit=2')
    expect(first.body).toMatchObject({ hasMore: true, data: [{ type: 'B.type' }, { type: 'a.type' }] })
    const second = await api('GET', `/v1/event-schemas?limit=2&cursor=${String(first.body['nextCursor'])}`)
    expect(second.body).toMatchObject({ hasMore: false, nextCursor: null, data: [{ type: 'ä.type' }] })
    expect(await api('GET', '/v1/event-schemas?cursor=x')).toMatchObject({
      status: 400,
      body: { code: 'invalidCursor' },
    })
  })

  it('are refused with pointers', async () => {
    const answer = await api('PUT', path, { schema: { $ref: 'http://example.com/s', nope: 1 } })
    expect(answer).toMatchObject({
      status: 400,
      body: {
        code: 'invalidRequest',
        errors: [{ pointer: '/schema/$ref' }, { pointer: '/schema/nope' }],
      },
    })
    expect(await api('PUT', path, { schemas: schema })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/schemas' }] },
    })
    expect(await api('PUT', `/v1/event-schemas/__void`, { schema })).toMatchObject({ status: 400 })
  })
})

describe('dead letters over HTTP', () => {
  const type = 'dead.letter'
  const path = `/v1/event-schemas/${type}`
  const list = async (query: string) => {
    const answer = await api('GET', `/v1/dead-letters?${query}`)
    expect(answer.status).toBe(200)
    return answer.body['data'] as Record<string, unknown>[]
  }

  it('keep a rejected event with its reason, and send it again once when the schema was changed', async () => {
    await api('PUT', path, { schema: { properties: { tokens: { type: 'integer' } } } })
    const leaked = server.adminKey
    const bad = anEvent('dead-1', { type, subject: leaked, data: { tokens: 'many', key: leaked } })
    expect(await send(bad, bad)).toMatchObject({ body: { accepted: 0 } })
    expect(await send(anEvent('dead-2', { type, source: 'two words' }))).toMatchObject({
      body: { accepted: 0 },
    })
    const letters = await eventually(
      () => list(`type=${type}`),
      (found) => found.length === 2,
    )
    expect(letters.map(({ code }) => code).sort()).toEqual(['invalidSource', 'schemaMismatch'])
    const [letter] = await list('code=schemaMismatch')
    expect(letter).toMatchObject({
      times: 2,
      event: { id: 'dead-1', type },
      errors: [{ pointer: '/data/tokens', detail: 'must be integer' }],
      retried: null,
    })
    const letterPath = `/v1/dead-letters/${String(letter?.['id'])}`
    const whole = await api('GET', letterPath)
    expect(whole.body).toMatchObject({ isCut: false })
    expect(JSON.stringify(whole.body)).not.toContain(leaked)
    expect(JSON.parse(String(whole.body['body']))).toMatchObject({ id: 'dead-1', data: { tokens: 'many' } })

    expect(await api('POST', `${letterPath}/retry`)).toMatchObject({
      status: 422,
      body: { code: 'rejectedAgain', rejection: 'schemaMismatch' },
    })
    await api('DELETE', path)
    const both = await Promise.all([api('POST', `${letterPath}/retry`), api('POST', `${letterPath}/retry`)])
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409])
    expect(await api('POST', `${letterPath}/retry`)).toMatchObject({
      status: 409,
      body: { code: 'alreadyRetried' },
    })
    expect(await list(`type=${type}&state=waiting`)).toHaveLength(1)
    expect(await list(`type=${type}&state=retried`)).toMatchObject([{ retried: { outcome: 'accepted' } }])
    expect((await api('GET', '/v1/dead-letters/dl_unknown')).status).toBe(404)
  })

  it('are listed page by page and by time, and count in the metrics', async () => {
    const first = await api('GET', '/v1/dead-letters?limit=1')
    expect(first.body).toMatchObject({ hasMore: true })
    const rest = await list(`limit=100&cursor=${String(first.body['nextCursor'])}`)
    const [newest] = first.body['data'] as Record<string, unknown>[]
    expect(rest.map(({ id }) => id)).not.toContain(newest?.['id'])
    expect(rest.length + 1).toBe((await list('')).length)
    expect(await list('since=2999-01-01T00:00:00Z')).toEqual([])
    const metrics = await (await fetch(`${server.metricsUrl}/metrics`)).text()
    expect(metrics).toMatch(/^tallyman_dead_letters_total\{.*result="kept".*\} [1-9]/m)
    expect(metrics).toMatch(/^tallyman_dead_letters_total\{.*result="dropped".*\} 0/m)
  })
})

describe('webhooks that deliver CloudEvents', () => {
  const options = async (path: string, headers: Readonly<Record<string, string>>) => {
    const answer = await fetch(server.apiUrl + path, { method: 'OPTIONS', headers })
    return [
      answer.status,
      answer.headers.get('allow'),
      answer.headers.get('webhook-allowed-origin'),
      answer.headers.get('webhook-allowed-rate'),
    ]
  }
  const origin = { 'webhook-request-origin': 'eventgrid.example.com' }

  it('ask before they send, and then deliver with their key', async () => {
    expect(await options('/v1/events', { ...origin, 'webhook-request-rate': '120' })).toEqual([
      ...[204, 'POST, OPTIONS', 'eventgrid.example.com', '120'],
    ])
    expect((await options('/v1/events', origin))[3]).toBe('*')
    expect((await options('/v1/events', { ...origin, 'webhook-request-rate': '-1' }))[3]).toBe('*')
    expect(await options('/v1/events', { 'webhook-request-origin': 'not a name' })).toEqual([
      ...[204, 'POST, OPTIONS', null, null],
    ])
    expect((await options('/v1/meters', origin))[2]).toBeNull()
    const delivery = await api('POST', '/v1/events', anEvent('hook-1'), {
      'content-type': 'application/cloudevents+json',
      origin: 'eventgrid.example.com',
    })
    expect(delivery).toMatchObject({ status: 202, body: { accepted: 1 } })
  })
})

describe('the tail of accepted events', () => {
  it('comes as server-sent events, filtered, and to the command', async () => {
    const cli = spawn(
      process.execPath,
      [
        ...['bin/tallyman.ts', 'events', 'tail', '--json', '--count', '2', '--type', 'tail.t'],
        ...['--url', server.apiUrl, '--key', server.adminKey],
      ],
      { env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const output = textOf(cli.stdout)
    const exited = once(cli, 'exit')
    const ended = new AbortController()
    const stream = await fetch(`${server.apiUrl}/v1/events/tail?subject=tailed`, {
      headers: { authorization: `Bearer ${server.adminKey}` },
      signal: ended.signal,
    })
    expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    let id = 0
    // The command may not have connected yet: events go on until it has seen its two.
    await Promise.race([
      exited,
      eventually(
        async () => {
          await send(
            anEvent(`tail-${id++}`, { type: 'tail.t', subject: 'tailed', data: { n: '1.50' } }),
            anEvent(`tail-${id++}`, { type: 'other' }),
          )
          return cli.exitCode
        },
        (code) => code !== null,
      ),
    ])
    expect((await exited)[0]).toBe(0)
    const shown = (await output).trim().split('\n')
    expect(shown).toHaveLength(2)
    for (const line of shown) expect(JSON.parse(line)).toMatchObject({ type: 'tail.t', subject: 'tailed' })
    let seen = ''
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader()
    while (!seen.includes('tail-2')) seen += (await reader?.read())?.value ?? ''
    ended.abort()
    expect(seen).toContain('"id":"tail-0"')
    expect(seen).toContain('"data":{"n":"1.50"}')
    expect(seen).not.toContain('"type":"other"')
  })

  it('needs the scope read and known filters', async () => {
    expect(await api('GET', '/v1/events/tail?kind=x')).toMatchObject({ status: 400 })
    expect(await call({ ...server, adminKey: 'x' }, 'GET', '/v1/events/tail')).toMatchObject({ status: 401 })
  })
})

describe('OTLP metrics over HTTP', () => {
  const attribute = (key: string, value: string) => ({ key, value: { stringValue: value } })
  const metrics = (aggregationTemporality: number, ...subjects: readonly string[]) => ({
    resourceMetrics: [
      {
        resource: { attributes: [attribute('service.name', 'gateway')] },
        scopeMetrics: [
          {
            metrics: [
              { name: 'not.mapped', gauge: { dataPoints: [{ asInt: '1' }] } },
              {
                name: 'llm.tokens',
                sum: {
                  aggregationTemporality,
                  dataPoints: subjects.map((subject) => ({
                    attributes: subject === '' ? [] : [attribute('customer.id', subject)],
                    timeUnixNano: `${Date.now()}000000`.replace(/\d{9}$/, '000000000'),
                    asDouble: 0.1,
                  })),
                },
              },
            ],
          },
        ],
      },
    ],
  })
  const path = '/v1/otlp/v1/metrics'

  it('become events by the mapping, once, and what cannot is told', async () => {
    const mapping = {
      metric: 'llm.tokens',
      eventType: 'otlp.tokens',
      valueProperty: 'tokens',
      subjectAttribute: 'customer.id',
      properties: { service: 'service.name' },
    }
    expect(await api('PUT', '/v1/otlp-mappings/tokens', mapping)).toMatchObject({
      status: 200,
      body: mapping,
    })
    const body = metrics(1, 'acme', '')
    const answer = await api('POST', path, body)
    expect(answer).toMatchObject({ status: 200, body: { partialSuccess: { rejectedDataPoints: '1' } } })
    expect(JSON.stringify(answer.body)).toContain('missingSubject')
    const letters = await eventually(
      async () => (await api('GET', '/v1/dead-letters?type=otlp.tokens')).body['data'] as unknown[],
      (found) => found.length === 1,
    )
    expect(letters).toMatchObject([{ code: 'missingSubject', event: { source: '/otlp/tokens' } }])
    expect(await api('POST', path, metrics(1, 'globex'))).toEqual({ status: 200, body: {} })
    expect(await api('POST', path, metrics(2, 'acme'))).toMatchObject({
      status: 400,
      body: { code: 'cumulativeTemporality' },
    })
    const counts = await (await fetch(`${server.metricsUrl}/metrics`)).text()
    expect(counts).toMatch(/^tallyman_otlp_unmapped_data_points_total.* 3$/m)
    expect(await api('GET', '/v1/otlp-mappings')).toMatchObject({ body: { data: [{ key: 'tokens' }] } })
    expect((await api('DELETE', '/v1/otlp-mappings/tokens')).status).toBe(204)
    expect(await api('POST', path, metrics(2, 'acme'))).toEqual({ status: 200, body: {} })
  })

  it('are refused as protobuf, and mappings with pointers', async () => {
    const protobuf = await api('POST', path, {}, { 'content-type': 'application/x-protobuf' })
    expect(protobuf).toMatchObject({ status: 415, body: { code: 'unsupportedMediaType' } })
    const put = await api('PUT', '/v1/otlp-mappings/x', { metric: 'm', eventTyp: 'x' })
    expect(put).toMatchObject({ status: 400, body: { code: 'invalidRequest' } })
    expect(JSON.stringify(put.body['errors'])).toContain('/eventTyp')
  })
})

describe('docs/ingest.md', () => {
  const page = readFileSync('docs/ingest.md', 'utf8')
  const commands = [...page.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, command = '']) => command)

  it('has commands that work as they stand, and one event of each way is accepted', async () => {
    expect(commands.length).toBeGreaterThan(7)
    const before = await accepted()
    for (const command of commands) {
      const env = cleanEnvironment({ TALLYMAN_URL: server.apiUrl, TALLYMAN_API_KEY: server.adminKey })
      const child = spawn('sh', ['-c', command], { env, stdio: ['ignore', 'pipe', 'inherit'] })
      const [output, ended] = await Promise.all([textOf(child.stdout), once(child, 'exit')])
      expect(ended[0], `${command}${output}`).toBe(0)
    }
    expect((await accepted()) - before).toBe(5)
  })

  async function accepted(): Promise<number> {
    const text = await (await fetch(`${server.metricsUrl}/metrics`)).text()
    return Number(/^tallyman_ingest_events_total\{.*result="accepted".*\} (\d+)/m.exec(text)?.[1])
  }
})
