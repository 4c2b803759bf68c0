import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { call, type ServerProcess, startServer } from '../support/server.ts'

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
