import { connect, constants, type IncomingHttpHeaders } from 'node:http2'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXT_AUTHZ_CHECK } from '../../src/http/grpc/ext-authz.ts'
import { createGateCalls } from '../../src/http/grpc/gate-calls.ts'
import {
  bytesField,
  bytesOf,
  type Field,
  fieldsOf,
  MalformedMessage,
  messageOf,
  pairOf,
  textField,
  varintField,
} from '../../src/http/grpc/protobuf.ts'
import { SHOULD_RATE_LIMIT } from '../../src/http/grpc/rate-limit.ts'
import { GRPC_STATUS, type GrpcServer, startGrpcServer } from '../../src/http/grpc/server.ts'
import type { LocalGate } from '../../src/provision/local-gate.ts'
import { type Guarding, openGuarding } from '../support/guarding.ts'
import { type Leasing, openLeasing } from '../support/leasing.ts'

const NOTHING = Buffer.alloc(0)
const map = (number: number, entries: Readonly<Record<string, string>>): Buffer =>
  messageOf(
    ...Object.entries(entries).map(([key, value]) =>
      bytesField(number, messageOf(textField(1, key), textField(2, value))),
    ),
  )
const all = (message: Buffer, number: number): Buffer[] =>
  [...fieldsOf(message)].flatMap((field) =>
    field.number === number && field.kind === 'bytes' ? [field.bytes] : [],
  )
const number = (message: Buffer | null, at: number): bigint =>
  [...fieldsOf(message ?? NOTHING)].reduce(
    (found, field) => (field.number === at && field.kind === 'varint' ? field.value : found),
    0n,
  )

describe('messages on the wire', () => {
  // Of the page "Encoding": 150 in field 1, "testing" in field 2, a message with 150 in field 3.
  it('are those of the documentation', () => {
    expect(varintField(1, 150).toString('hex')).toBe('089601')
    expect(textField(2, 'testing').toString('hex')).toBe('120774657374696e67')
    expect(bytesField(3, varintField(1, 150)).toString('hex')).toBe('1a03089601')
  })

  it('come back as they were written, whatever is between them', () => {
    const field = fc.oneof(
      fc.record({
        number: fc.integer({ min: 1, max: 536_870_911 }),
        value: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
      }),
      fc.record({
        number: fc.integer({ min: 1, max: 536_870_911 }),
        bytes: fc.uint8Array({ maxLength: 300 }),
      }),
    )
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        const message = messageOf(
          ...fields.map((one) =>
            'value' in one
              ? varintField(one.number, one.value)
              : bytesField(one.number, Buffer.from(one.bytes)),
          ),
        )
        const expected: Field[] = fields.map((one) =>
          'value' in one
            ? { number: one.number, kind: 'varint', value: one.value }
            : { number: one.number, kind: 'bytes', bytes: Buffer.from(one.bytes) },
        )
        expect([...fieldsOf(message)]).toEqual(expected)
      }),
    )
  })

  it('that are none are refused and never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          for (const field of fieldsOf(Buffer.from(bytes))) {
            if (field.kind === 'bytes') expect(field.bytes.length).toBeLessThanOrEqual(bytes.length)
          }
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessage)
        }
      }),
    )
    for (const text of ['08', '0a05aa', '00', '0b', '09aabb', 'ffffffffffffffffffffff', '0affffffffff7f']) {
      expect(() => [...fieldsOf(Buffer.from(text, 'hex'))], text).toThrow(MalformedMessage)
    }
  })
})

describe('the gate over gRPC', () => {
  let leasing: Leasing
  let guarding: Guarding
  let server: GrpcServer
  let faults: unknown[]
  let answered: { readonly route: string; readonly status: number }[]

  const serve = async (gate: LocalGate): Promise<GrpcServer> => {
    const deps = { gate, keyHeader: null, newRequestId: () => 'req_1' }
    const onFault = (error: unknown): void => void faults.push(error)
    return startGrpcServer({
      host: '127.0.0.1',
      port: 0,
      calls: createGateCalls({ ...deps, onFault }, { answered: (one) => answered.push(one) }),
      onFault: (_, error) => onFault(error),
    })
  }
  beforeEach(async () => {
    leasing = openLeasing()
    guarding = await openGuarding(leasing)
    faults = []
    answered = []
    server = await serve(guarding.local)
  })
  afterEach(async () => {
    await server.stop(0)
    await leasing.close()
  })

  interface Reply {
    readonly http: number
    readonly status: number
    readonly message: Buffer
  }

  const frame = (message: Buffer, flag = 0): Buffer => {
    const prefix = Buffer.from([flag, 0, 0, 0, 0])
    prefix.writeUInt32BE(message.length, 1)
    return Buffer.concat([prefix, message])
  }
  const send = (path: string, body: Buffer, contentType = 'application/grpc'): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const session = connect(`http://127.0.0.1:${server.port}`)
      session.on('error', reject)
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': contentType,
        te: 'trailers',
      })
      const chunks: Buffer[] = []
      let told: IncomingHttpHeaders = {}
      const hear = (headers: IncomingHttpHeaders): void => {
        told = { ...told, ...headers }
      }
      stream.on('response', hear)
      stream.on('trailers', hear)
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('error', reject)
      stream.on('close', () => {
        session.close()
        const message = Buffer.concat(chunks)
        resolve({
          http: Number(told[constants.HTTP2_HEADER_STATUS]),
          status: Number(told['grpc-status'] ?? -1),
          message: message.subarray(5),
        })
      })
      stream.end(body)
    })
  const call = (path: string, message: Buffer): Promise<Reply> => send(path, frame(message))

  describe('ext_authz', () => {
    const check = (
      headers: Record<string, string>,
      extensions: Record<string, string> = {},
    ): Promise<Reply> => {
      const http = bytesField(2, messageOf(textField(1, 'id'), map(3, headers)))
      return call(EXT_AUTHZ_CHECK, bytesField(1, messageOf(bytesField(4, http), map(10, extensions))))
    }
    const options = (response: Buffer, at: number): Record<string, string> =>
      Object.fromEntries(all(response, at).map((option) => pairOf(bytesOf(option, 1) ?? NOTHING)))
    const deniedOf = (reply: Reply) => {
      const denied = bytesOf(reply.message, 2) ?? NOTHING
      return {
        code: number(bytesOf(reply.message, 1), 1),
        status: Number(number(bytesOf(denied, 1), 1)),
        headers: options(denied, 2),
        problem: JSON.parse(bytesOf(denied, 3)?.toString() ?? 'null') as Record<string, unknown>,
      }
    }

    it('lets in, sets who calls over what the caller wrote, and spends the cost of the route', async () => {
      const { key, keyId } = await guarding.key()
      const reply = await check(
        { authorization: `Bearer ${key}`, 'x-gate-subject': 'mine' },
        { permission: 'chat.write', 'cost.calls': '4' },
      )
      expect([reply.http, reply.status]).toEqual([200, GRPC_STATUS.ok])
      const ok = bytesOf(reply.message, 3) ?? NOTHING
      expect(options(ok, 2)).toEqual({
        'x-gate-key': keyId,
        'x-gate-customer': 'acme',
        'x-gate-environment': 'live',
      })
      expect(all(ok, 2).map((option) => number(option, 3))).toEqual([2n, 2n, 2n])
      expect(all(ok, 5).map(String)).toEqual(['x-gate-subject'])
      expect(options(ok, 6)['ratelimit']).toContain('"calls";r=')
      expect(await guarding.used()).toBe(4n)
      expect(answered).toMatchObject([{ route: EXT_AUTHZ_CHECK, status: 200 }])
    })

    it('refuses with the answer itself', async () => {
      const { key } = await guarding.key()
      const missing = deniedOf(await check({}))
      expect(missing).toMatchObject({ code: 7n, status: 401, problem: { code: 'missingKey' } })
      expect(missing.headers['www-authenticate']).toBe('Bearer realm="api"')
      const spent = deniedOf(await check({ 'x-api-key': key }, { 'cost.calls': '11' }))
      expect(spent).toMatchObject({ code: 7n, status: 429, problem: { code: 'quotaExceeded' } })
      expect(spent.headers['content-type']).toBe('application/problem+json')
    })

    it('tells a route that is configured wrongly, and 503 where the gate fails', async () => {
      expect(deniedOf(await check({}, { 'costs.calls': '1' }))).toMatchObject({
        status: 500,
        problem: { code: 'invalidGateRoute' },
      })
      await server.stop(0)
      server = await serve({ check: () => Promise.reject(new Error('the disk is gone')) })
      const failed = deniedOf(await check({ 'x-api-key': 'k' }))
      expect(failed).toMatchObject({
        status: 503,
        headers: { 'retry-after': '2' },
        problem: { code: 'unavailable' },
      })
      expect(faults).toHaveLength(1)
    })
  })

  describe('the rate limit service', () => {
    const entries = (one: Record<string, string>): Buffer => map(1, one)
    const ask = (descriptors: readonly Buffer[], hits = 0): Promise<Reply> =>
      call(
        SHOULD_RATE_LIMIT,
        messageOf(
          textField(1, 'tallyman'),
          ...descriptors.map((descriptor) => bytesField(2, descriptor)),
          varintField(3, hits),
        ),
      )
    const codes = ({ message }: Reply): readonly bigint[] => [
      number(message, 1),
      ...all(message, 2).map((status) => number(status, 1)),
    ]

    it('counts the hits of the request, or of the descriptor, in the quota that is named', async () => {
      const { key } = await guarding.key()
      const of = { api_key: `Bearer ${key}`, quota: 'calls' }
      expect(codes(await ask([entries(of)]))).toEqual([1n, 1n])
      expect(codes(await ask([entries(of)], 3))).toEqual([1n, 1n])
      const five = messageOf(entries(of), bytesField(3, varintField(1, 5)))
      expect(codes(await ask([five], 3))).toEqual([1n, 1n])
      const refused = await ask([entries(of)], 2)
      expect(codes(refused)).toEqual([2n, 2n])
      expect(JSON.parse(bytesOf(refused.message, 5)?.toString() ?? '')).toMatchObject({
        code: 'quotaExceeded',
      })
      const headers = Object.fromEntries(all(refused.message, 3).map(pairOf))
      expect(headers).toMatchObject({ 'retry-after': '1339200', 'content-type': 'application/problem+json' })
      expect(await guarding.used()).toBe(9n)
    })

    it('spends nothing behind the first refusal', async () => {
      const { key } = await guarding.key()
      const unknown = entries({ api_key: 'nobody' })
      expect(codes(await ask([unknown, entries({ api_key: key, quota: 'calls' })]))).toEqual([2n, 2n])
      expect(await guarding.used()).toBe(0n)
    })

    it('W11: fails where a descriptor is not understood, or the gate cannot decide', async () => {
      for (const one of [
        { quota: 'calls' },
        { api_key: 'k', remote_adress: '::1' },
        { api_key: 'k', permission: '(' },
      ]) {
        expect((await ask([entries(one)])).status, JSON.stringify(one)).toBe(GRPC_STATUS.invalidArgument)
      }
      await server.stop(0)
      server = await serve({ check: () => Promise.reject(new Error('the disk is gone')) })
      expect((await ask([entries({ api_key: 'k' })])).status).toBe(GRPC_STATUS.unavailable)
    })
  })

  it('says what it is asked outside of both', async () => {
    const health = await call('/grpc.health.v1.Health/Check', NOTHING)
    expect([health.status, number(health.message, 1)]).toEqual([GRPC_STATUS.ok, 1n])
    expect((await call('/grpc.health.v1.Health/Watch', NOTHING)).status).toBe(GRPC_STATUS.unimplemented)
    expect((await send(EXT_AUTHZ_CHECK, NOTHING, 'application/json')).http).toBe(415)
  })

  it('refuses what is no single message', async () => {
    for (const [body, status] of [
      [NOTHING, GRPC_STATUS.invalidArgument],
      [Buffer.from([0, 0, 0, 0]), GRPC_STATUS.invalidArgument],
      [frame(Buffer.from('08', 'hex')).subarray(0, 5), GRPC_STATUS.invalidArgument],
      [Buffer.concat([frame(NOTHING), frame(NOTHING)]), GRPC_STATUS.invalidArgument],
      [frame(NOTHING, 1), GRPC_STATUS.invalidArgument],
      [frame(Buffer.from('0a05aa', 'hex')), GRPC_STATUS.invalidArgument],
      [frame(Buffer.alloc(300_000)), GRPC_STATUS.resourceExhausted],
    ] as const) {
      expect((await send(EXT_AUTHZ_CHECK, body)).status, `${body.length} bytes`).toBe(status)
    }
    expect(faults).toEqual([])
  })
})
