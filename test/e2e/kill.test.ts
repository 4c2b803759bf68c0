import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { call, type ServerProcess, startServer } from '../support/server.ts'

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-kill-'))
const servers: ServerProcess[] = []
afterAll(async () => {
  for (const server of servers) await server.kill9()
  rmSync(scratch, { recursive: true, force: true })
})

const EVENTS_PER_REQUEST = 50

/** Sends numbered events until the server dies; returns the numbers that were acknowledged and how many were begun. */
async function sendUntilDeath(
  server: ServerProcess,
  nextNumber: () => number,
  onAcknowledged: () => void,
): Promise<readonly number[]> {
  const acknowledged: number[] = []
  for (;;) {
    const numbers = Array.from({ length: EVENTS_PER_REQUEST }, nextNumber)
    try {
      const answer = await post(server, numbers)
      if (answer.status === 202) {
        acknowledged.push(...numbers)
        onAcknowledged()
      }
    } catch {
      return acknowledged // the connection broke: nothing is known of this request, as for a real client
    }
  }
}

async function post(
  server: ServerProcess,
  numbers: readonly number[],
): Promise<{ readonly status: number; readonly accepted: number }> {
  const events = numbers.map((n) => ({
    specversion: '1.0',
    id: String(n),
    source: 'kill-test',
    type: 'work.done',
    subject: 'acme',
    data: { units: 3 },
  }))
  const { status, body } = await call(server, 'POST', '/v1/events', events, {
    'content-type': 'application/cloudevents-batch+json',
  })
  return { status, accepted: Number(body['accepted'] ?? 0) }
}

interface Usage {
  readonly data: readonly { readonly value: string }[]
}
async function metered(server: ServerProcess, meter: string): Promise<number> {
  const from = new Date(Date.now() - 86_400_000).toISOString()
  const to = new Date(Date.now() + 86_400_000).toISOString()
  const { status, body } = await call(
    server,
    'GET',
    `/v1/meters/${meter}/usage?from=${from}&to=${to}&window=none`,
  )
  expect(status, JSON.stringify(body)).toBe(200)
  return Number((body as unknown as Usage).data[0]?.value ?? 0)
}

describe('kill -9 under load', () => {
  it('I1: loses nothing that was acknowledged and counts nothing twice', async () => {
    const dataDirectory = join(scratch, 'data')
    let server = await startServer({ dataDirectory })
    servers.push(server)
    for (const [key, meter] of Object.entries({
      units: { name: 'Units', eventType: 'work.done', aggregation: 'sum', valueProperty: 'units' },
      jobs: { name: 'Jobs', eventType: 'work.done', aggregation: 'count' },
    })) {
      expect((await call(server, 'PUT', `/v1/meters/${key}`, meter)).status).toBeLessThan(300)
    }
    let begun = 0
    const nextNumber = (): number => begun++
    const acknowledged = new Set<number>()
    let kills = 0
    for (const requestsBeforeDeath of [40, 150, 400]) {
      let answered = 0
      const enough = Promise.withResolvers<undefined>()
      const senders = Array.from({ length: 4 }, () =>
        sendUntilDeath(server, nextNumber, () => {
          answered += 1
          if (answered >= requestsBeforeDeath) enough.resolve(undefined)
        }),
      )
      await enough.promise
      await server.kill9()
      kills += 1
      for (const numbers of await Promise.all(senders)) for (const n of numbers) acknowledged.add(n)
      server = await startServer({ dataDirectory })
      servers.push(server)
      const jobs = await eventually(
        () => metered(server, 'jobs'),
        (count) => count >= acknowledged.size,
      )
      expect(jobs).toBeLessThanOrEqual(begun)
    }
    // As a client does: everything that was not acknowledged is sent again with the same ids, and some that was.
    const again = Array.from({ length: begun }, (_, n) => n).filter(
      (n) => !acknowledged.has(n) || n % 7 === 0,
    )
    for (let i = 0; i < again.length; i += EVENTS_PER_REQUEST) {
      expect((await post(server, again.slice(i, i + EVENTS_PER_REQUEST))).status).toBe(202)
    }
    const jobs = await eventually(
      () => metered(server, 'jobs'),
      (count) => count >= begun,
    )
    console.log(
      `kills ${kills}, acknowledged ${acknowledged.size}, lost ${begun - jobs}, twice ${Math.max(0, jobs - begun)}`,
    )
    expect(jobs).toBe(begun)
    expect(await metered(server, 'units')).toBe(begun * 3)
    const { body } = await call(server, 'POST', '/v1/reconcile')
    expect(body, server.errors()).toMatchObject({ ok: true })
    expect(await server.stop()).toBe(0)
  })
})
