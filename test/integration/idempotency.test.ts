import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { createIdempotencyStore } from '../../src/database/idempotency.ts'
import { createApi, createRouter } from '../../src/http/api.ts'
import { idempotency, repeatableId } from '../../src/http/idempotency.ts'
import { scoped } from '../../src/http/scoped.ts'
import type { ApiKeyId, TenantId } from '../../src/id/ids.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'
import { openTestDatabase } from '../support/database.ts'

let database: Database
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(async () => database.stop())
beforeEach(async () => {
  now = instantOf(Date.UTC(2024, 0, 1))
  runs = 0
  faults.length = 0
  held = null
  status = 201
  await database.db.deleteFrom('idempotency_keys').execute()
})

let now: Instant
let runs: number
/** A command that waits, as if its process hung. */
let held: Promise<void> | null
let status: 201 | 404 | 429 | 500
const faults: unknown[] = []
const SECRET = `tm_live_${randomBytes(16).toString('hex')}`

/** One process of the API: its command makes something, and tells a secret once. */
function createProcess(extendEveryMs?: number) {
  const api = createApi({ newRequestId: () => 'req', onFault: (error) => faults.push(error) })
  const clock = { now: () => now }
  const store = createIdempotencyStore(database.db)
  const onFault = (error: unknown) => faults.push(error)
  api.use(
    '*',
    idempotency({ store, clock, onFault, ...(extendEveryMs === undefined ? {} : { extendEveryMs }) }),
  )
  const router = createRouter()
  const authenticator = {
    authenticate: (key: string) => ({
      kind: 'authenticated' as const,
      principal: {
        tenant: key.split('_')[0] as TenantId,
        keyId: key as ApiKeyId,
        scopes: ['admin' as const],
      },
    }),
  }
  const admin = scoped(authenticator, 'admin')
  for (const path of ['/v1/things', '/v1/others', '/v1/keys/verify', '/v1/things/:name']) {
    router.post(path, admin, async (c) => {
      const run = ++runs
      if (held !== null) await held
      if (status === 500) throw new Error('a fault of ours')
      const id = repeatableId(c, 'sub', () => 'fresh')
      return c.json({ run, id, key: SECRET, echo: c.get('json') }, status, { location: `/v1/things/${id}` })
    })
  }
  router.delete('/v1/things', admin, (c) => {
    runs++
    return c.body(null, 204)
  })
  api.route('/', router)
  return api
}

interface Sent {
  readonly key?: string | undefined
  readonly body?: unknown
  readonly path?: string
  readonly apiKey?: string
  readonly method?: string
}

async function send(api: ReturnType<typeof createProcess>, sent: Sent = {}) {
  const { key, body = { a: 1 }, path = '/v1/things', apiKey = 'one_a', method = 'POST' } = sent
  const response = await api.request(path, {
    method,
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(method === 'DELETE' ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    },
    ...(method === 'DELETE' ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    replayed: response.headers.get('idempotency-replayed'),
    location: response.headers.get('location'),
    retryAfter: response.headers.get('retry-after'),
    body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
  }
}

describe('Idempotency-Key', () => {
  it('D3: a repeat gets the stored answer, with its status and headers, and runs nothing', async () => {
    const api = createProcess()
    const first = await send(api, { key: 'k1' })
    const second = await send(createProcess(), { key: 'k1' })
    expect(first).toMatchObject({
      status: 201,
      replayed: null,
      body: { run: 1, key: SECRET, echo: { a: 1 } },
    })
    expect(second).toEqual({ ...first, replayed: 'true' })
    expect(runs).toBe(1)
  })

  it('without the header every request runs', async () => {
    const api = createProcess()
    expect((await send(api)).body).toMatchObject({ run: 1, id: 'fresh' })
    expect((await send(api)).body).toMatchObject({ run: 2 })
    expect(await database.db.selectFrom('idempotency_keys').selectAll().execute()).toEqual([])
  })

  it('is of one tenant, one route and one method', async () => {
    const api = createProcess()
    await send(api, { key: 'k1' })
    await send(api, { key: 'k1', path: '/v1/others' })
    await send(api, { key: 'k1', apiKey: 'two_a' })
    await send(api, { key: 'k1', method: 'DELETE' })
    expect(runs).toBe(4)
    expect(await send(api, { key: 'k1', method: 'DELETE' })).toMatchObject({ status: 204, replayed: 'true' })
    expect(runs).toBe(4)
  })

  it('another body or query under the same key is refused with 422', async () => {
    const api = createProcess()
    await send(api, { key: 'k1' })
    for (const sent of [{ body: { a: 2 } }, { path: '/v1/things?dry=true' }]) {
      expect(await send(api, { key: 'k1', ...sent })).toMatchObject({
        status: 422,
        body: { code: 'idempotencyKeyReused' },
      })
    }
    expect(runs).toBe(1)
  })

  it('D3: 20 repeats at the same moment run once; those that come too early are told to come again', async () => {
    const processes = [createProcess(), createProcess()]
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => send(processes[i % 2] ?? createProcess(), { key: 'k1' })),
    )
    expect(runs).toBe(1)
    for (const answer of answers) {
      if (answer.status === 201) expect(answer.body['run']).toBe(1)
      else expect(answer).toMatchObject({ status: 409, retryAfter: '1', body: { code: 'requestRunning' } })
    }
    expect(answers.filter((one) => one.status === 201 && one.replayed === null)).toHaveLength(1)
    expect(await send(createProcess(), { key: 'k1' })).toMatchObject({ status: 201, replayed: 'true' })
    expect(faults).toEqual([])
  })

  it('what was refused is answered the same again', async () => {
    const api = createProcess()
    status = 404
    await send(api, { key: 'k1' })
    status = 201
    expect(await send(api, { key: 'k1' })).toMatchObject({ status: 404, replayed: 'true' })
  })

  it.each([500, 429] as const)(
    'an answer %i is not stored; a repeat runs again, as the same command',
    async (failed) => {
      const api = createProcess()
      status = failed
      expect((await send(api, { key: 'k1' })).status).toBe(failed)
      status = 201
      now = instantOf(now + 5000)
      const again = await send(api, { key: 'k1' })
      expect(again).toMatchObject({ status: 201, replayed: null, body: { run: 2 } })
      expect(await send(api, { key: 'k1' })).toMatchObject({ replayed: 'true', body: { run: 2 } })
    },
  )

  it('D3: a process that died in the middle holds a key until its lock is over; the repeat makes the same ids', async () => {
    const dead = createProcess()
    const lives = createProcess()
    held = new Promise<void>(() => undefined)
    void send(dead, { key: 'k1' })
    while (runs === 0) await new Promise((resolve) => setImmediate(resolve))
    held = null
    expect(await send(lives, { key: 'k1' })).toMatchObject({ status: 409, body: { code: 'requestRunning' } })
    expect(await send(lives, { key: 'k1', body: { a: 2 } })).toMatchObject({ status: 422 })
    now = instantOf(now + 29_999)
    expect((await send(lives, { key: 'k1' })).status).toBe(409)
    now = instantOf(now + 1)
    const after = await send(lives, { key: 'k1' })
    expect(after).toMatchObject({ status: 201, body: { run: 2 } })

    // A key of its own that ran through makes another id; both follow from the key and when it was first used.
    const other = await send(lives, { key: 'k2' })
    expect(other.body['id']).not.toBe(after.body['id'])
    expect(String(after.body['id'])).toMatch(/^sub_[0-9a-z]{26}$/)
  })

  it('a command that was taken over neither overwrites the answer nor hides that it ran', async () => {
    let release: () => void = () => undefined
    held = new Promise<void>((resolve) => {
      release = resolve
    })
    const slow = send(createProcess(), { key: 'k1' })
    while (runs === 0) await new Promise((resolve) => setImmediate(resolve))
    held = null
    now = instantOf(now + 30_000)
    const second = await send(createProcess(), { key: 'k1' })
    release()
    const first = await slow
    expect(first.body['id']).toBe(second.body['id'])
    expect(faults.map(String)).toEqual([
      'Error: the answer of POST /v1/things: another attempt has taken over',
    ])
    expect((await send(createProcess(), { key: 'k1' })).body['run']).toBe(2)
  })

  it('a command that takes long keeps its lock', async () => {
    let release: () => void = () => undefined
    held = new Promise<void>((resolve) => {
      release = resolve
    })
    const slow = send(createProcess(5), { key: 'k1' })
    while (runs === 0) await new Promise((resolve) => setImmediate(resolve))
    now = instantOf(now + 40_000)
    const extended = async () => {
      const row = await database.db
        .selectFrom('idempotency_keys')
        .select('locked_until')
        .executeTakeFirstOrThrow()
      return row.locked_until.getTime() > now
    }
    while (!(await extended()));
    expect((await send(createProcess(), { key: 'k1' })).status).toBe(409)
    release()
    expect((await slow).status).toBe(201)
    expect(runs).toBe(1)
  })

  it('D4: the database holds neither the secret nor the key that opens it', async () => {
    const api = createProcess()
    await send(api, { key: 'order-17' })
    const rows = await database.db.selectFrom('idempotency_keys').selectAll().execute()
    const stored = rows
      .map((row) => JSON.stringify({ ...row, answer: row.answer?.toString('latin1') }))
      .join()
    for (const secret of [SECRET, SECRET.slice(8), 'order-17', 'one_a']) expect(stored).not.toContain(secret)
    expect(await send(api, { key: 'order-17', apiKey: 'one_b' })).toMatchObject({
      status: 409,
      body: { code: 'answerOfAnotherKey' },
    })
    expect(runs).toBe(1)
  })

  it('a damaged or exchanged answer is not given', async () => {
    const api = createProcess()
    await send(api, { key: 'k1' })
    await send(api, { key: 'k2' })
    const rows = await database.db.selectFrom('idempotency_keys').select(['key', 'answer']).execute()
    const [one, two] = rows
    if (one?.answer == null || two === undefined) throw new Error('no rows')
    await database.db
      .updateTable('idempotency_keys')
      .set({ answer: one.answer })
      .where('key', '=', two.key)
      .execute()
    const answers = [await send(api, { key: 'k1' }), await send(api, { key: 'k2' })]
    expect(answers.map((answer) => answer.status).sort()).toEqual([201, 409])
  })

  it('questions that are asked with POST are always asked anew', async () => {
    const api = createProcess()
    for (const run of [1, 2]) {
      expect((await send(api, { key: 'k1', path: '/v1/keys/verify' })).body['run']).toBe(run)
    }
  })

  it.each(['', 'a b', 'ö', 'x'.repeat(256)])('refuses the key %j', async (key) => {
    const encoded = Buffer.from(key, 'utf8').toString('latin1')
    expect(await send(createProcess(), { key: encoded })).toMatchObject({
      status: 400,
      body: { code: 'malformedIdempotencyKey' },
    })
    expect(runs).toBe(0)
  })

  it('a long path is kept by its hash', async () => {
    const api = createProcess()
    const path = `/v1/things/${randomBytes(4000).toString('hex')}`
    expect((await send(api, { key: 'k1', path })).status).toBe(201)
    expect(await send(api, { key: 'k1', path })).toMatchObject({ replayed: 'true' })
  })
})

describe('keeping', () => {
  it('D4: answers are kept for 24 hours, and then removed in batches', async () => {
    const store = createIdempotencyStore(database.db)
    const api = createProcess()
    await send(api, { key: 'k1' })
    await database.db
      .insertInto('idempotency_keys')
      .values(
        Array.from({ length: 2500 }, (_, i) => ({
          tenant: 'one',
          route: 'POST /v1/things',
          key: `old${String(i)}`,
          fingerprint: '',
          attempt: 1,
          status: null,
          answer: null,
          locked_until: new Date(now),
          created_at: new Date(now),
        })),
      )
      .execute()
    expect(await store.removeExpired(instantOf(now + 86_399_999))).toBe(0)
    now = instantOf(now + 86_400_000)
    expect(await send(api, { key: 'k1' })).toMatchObject({ replayed: 'true' })
    expect(await store.removeExpired(now)).toBe(2501)
    expect(await send(api, { key: 'k1' })).toMatchObject({ replayed: null, body: { run: 2 } })
  })
})
