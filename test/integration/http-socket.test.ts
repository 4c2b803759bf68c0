import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ApiServer, startApiServer } from '../../src/app/api-server.ts'
import { JSON_BODY_BYTES_MAX } from '../../src/http/json-body.ts'
import { type ControlApi, openControlApi } from '../support/control-api.ts'

let control: ControlApi
let server: ApiServer

beforeAll(async () => {
  control = openControlApi()
  server = await startApiServer({
    host: '127.0.0.1',
    port: 0,
    fetch: (request, env) => control.api.fetch(request, env),
    headersTimeoutMs: 5000,
    requestTimeoutMs: 5000,
  })
})
afterAll(() => server.stop(1000))

const headers = { authorization: 'Bearer admin', 'content-type': 'application/json' }
const METER = { name: 'Requests', eventType: 'llm.request', aggregation: 'count' }
const put = (init: RequestInit): Promise<Response> =>
  fetch(`${server.url}/v1/meters/x`, { method: 'PUT', headers, ...init })

/** Sends bytes as they are and resolves with all that comes back until the server closes. */
function exchange(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname, () => socket.write(text))
    let answer = ''
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
  })
}

describe('the routes on a socket', () => {
  it('reads a body that comes with its length and one that comes in chunks', async () => {
    expect((await put({ body: JSON.stringify(METER) })).status).toBe(200)
    const chunked = new Blob([JSON.stringify(METER)]).stream()
    expect((await put({ body: chunked, duplex: 'half' })).status).toBe(200)
  })

  it('commands without a body, with and without a media type', async () => {
    const post = (init: RequestInit): Promise<Response> =>
      fetch(`${server.url}/v1/test-clocks`, { method: 'POST', ...init })
    expect((await post({ headers: { authorization: 'Bearer admin' } })).status).toBe(201)
    expect((await post({ headers })).status).toBe(201)
  })

  it('413 by the header before the body has come, and the connection goes on', async () => {
    const head = [
      'PUT /v1/meters/x HTTP/1.1',
      'host: x',
      'authorization: Bearer admin',
      'content-type: application/json',
      `content-length: ${JSON_BODY_BYTES_MAX + 1}`,
      'expect: 100-continue',
      'connection: close',
      '',
      '',
    ].join('\r\n')
    expect(await exchange(head)).toMatch(/HTTP\/1\.1 413 [^]*"code":"bodyTooLarge"/)
    expect((await put({ body: JSON.stringify(METER) })).status).toBe(200)
  })

  it('415 and 400 on a socket are the same problems', async () => {
    const text = await put({ body: 'x', headers: { ...headers, 'content-type': 'text/plain' } })
    expect([text.status, text.headers.get('content-type')]).toEqual([415, 'application/problem+json'])
    const bytes = await put({ body: Uint8Array.of(0x22, 0xff, 0x22) })
    expect([bytes.status, await bytes.json()]).toMatchObject([400, { code: 'malformedJson' }])
  })

  it('answers HEAD and OPTIONS', async () => {
    const head = await fetch(`${server.url}/v1/meters`, { method: 'HEAD', headers })
    expect([head.status, await head.text()]).toEqual([200, ''])
    const options = await fetch(`${server.url}/v1/meters`, { method: 'OPTIONS' })
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS'])
  })
})
