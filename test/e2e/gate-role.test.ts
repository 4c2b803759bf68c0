import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { call, type ServerProcess } from '../support/server.ts'

const LIMIT = 200

let fleet: Fleet
let api: ServerProcess
let provision: ServerProcess
let gates: readonly ServerProcess[]

beforeAll(async () => {
  fleet = await startFleet()
  // The api role first: it makes the tables and topics that the others share.
  api = await fleet.start('api')
  const [quotas, ...others] = await Promise.all([
    fleet.start('provision'),
    fleet.start('gate', 'gate-1'),
    fleet.start('gate', 'gate-2'),
  ])
  provision = quotas
  gates = others
  await put('/v1/quotas/calls', {
    unit: 'calls',
    limit: String(LIMIT),
    period: 'month',
    mode: 'leased',
    ladder: [{ at: '1', action: 'block' }],
    onUnavailable: 'closed',
  })
  await put('/v1/customers/acme', { name: 'Acme', currency: 'USD', timezone: 'UTC', subjects: [] })
})
afterAll(() => fleet.stop())

async function put(path: string, body: unknown): Promise<void> {
  const answer = await call(api, 'PUT', path, body)
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300)
}

async function aKey(quotas: readonly string[] = []): Promise<{ readonly key: string; readonly id: string }> {
  const made = await call(api, 'POST', '/v1/keys', {
    name: 'caller',
    customer: 'acme',
    scopes: ['chat.write'],
    quotas,
  })
  expect(made.status, JSON.stringify(made.body)).toBe(201)
  return { key: String(made.body['key']), id: String(made.body['id']) }
}

async function ask(gate: ServerProcess | undefined, key: string, cost = ''): Promise<number> {
  if (gate === undefined) throw new Error('no gate')
  const response = await fetch(`${gate.apiUrl}/v1/gate/authorize?permission=chat.write${cost}`, {
    headers: { authorization: `Bearer ${key}` },
  })
  await response.arrayBuffer()
  return response.status
}

const said = (): string => [api, provision, ...gates].map((one) => one.errors()).join('\n')

/** Until every gate knows the key: it was made at another process. */
async function knownEverywhere(key: string): Promise<void> {
  for (const gate of gates)
    await eventually(
      () => ask(gate, key),
      (status) => status === 200,
    )
}

describe('gates apart on Kafka', () => {
  it('sell exactly the units that there are, between them', async () => {
    const { key } = await aKey(['calls'])
    await knownEverywhere(key)
    const asked = Array.from({ length: LIMIT + 100 }, (_, i) => i)
    const statuses = new Map<number, number>()
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (let i = asked.pop(); i !== undefined; i = asked.pop()) {
          const status = await ask(gates[i % gates.length], key, '&cost.calls=1')
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
        }
      }),
    )
    // 503: no lease came in time, which says nothing of the caller. Anything else would be wrong.
    for (const status of statuses.keys()) expect([200, 429, 503], said()).toContain(status)
    expect(statuses.get(200)).toBeLessThanOrEqual(LIMIT)
    // What lies in the hands of the one that was not asked last comes to the other when it is asked for.
    let left = LIMIT - (statuses.get(200) ?? 0)
    for (let i = 0; left > 0 && i < 10 * LIMIT; i++) {
      if ((await ask(gates[i % gates.length], key, '&cost.calls=1')) === 200) left--
    }
    expect(left, said()).toBe(0)
    for (const gate of gates) expect(await ask(gate, key, '&cost.calls=1')).toBe(429)
  })

  it('refuse a revoked key from the moment on at which the revocation is answered', async () => {
    for (let round = 0; round < 5; round++) {
      const { key, id } = await aKey()
      await knownEverywhere(key)
      const revoked = await call(api, 'DELETE', `/v1/keys/${id}?wait=applied`)
      expect([revoked.status, revoked.body['applied']]).toEqual([200, true])
      for (const gate of gates) expect(await ask(gate, key)).toBe(401)
    }
  })

  it('let nobody in by what they knew before they stood still', async () => {
    const [gate] = gates
    const { key, id } = await aKey()
    await knownEverywhere(key)
    gate?.freeze()
    try {
      // Answered once the silent gate may not decide any more, and not before.
      const revoked = await call(api, 'DELETE', `/v1/keys/${id}?wait=applied`)
      expect([revoked.status, revoked.body['applied']]).toEqual([200, true])
    } finally {
      gate?.thaw()
    }
    expect([401, 503]).toContain(await ask(gate, key))
    await eventually(
      () => ask(gate, key),
      (status) => status === 401,
    )
  })

  it('answer 503 while Kafka is away, to a known key and never to an unknown one, and go on after it', async () => {
    const { key } = await aKey()
    await knownEverywhere(key)
    await fleet.kafka.kill9()
    try {
      for (const gate of gates) {
        await eventually(
          () => ask(gate, key),
          (status) => status !== 200,
        ).then((status) => expect(status).toBe(503))
        expect(await ask(gate, 'nobody')).toBe(401)
      }
    } finally {
      await fleet.kafka.restart()
    }
    await knownEverywhere(key)
  })
})
