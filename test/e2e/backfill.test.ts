import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommand } from '../support/run-cli.ts'
import { eventually } from '../support/eventually.ts'
import { call, type ServerProcess, startServer } from '../support/server.ts'

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-backfill-'))
let server: ServerProcess
beforeAll(async () => {
  server = await startServer({ dataDirectory: join(scratch, 'data') })
  const meters = {
    units: { name: 'Units', eventType: 'work.done', aggregation: 'sum', valueProperty: 'units' },
    people: { name: 'People', eventType: 'work.done', aggregation: 'uniqueCount', valueProperty: 'who' },
  }
  for (const [key, meter] of Object.entries(meters)) await done('PUT', `/v1/meters/${key}`, meter)
  for (const key of ['acme', 'beta']) {
    const customer = { name: key, subjects: [`${key}-1`, `${key}-2`], currency: 'USD', timezone: 'UTC' }
    await done('PUT', `/v1/customers/${key}`, customer)
  }
})
afterAll(async () => {
  await server.stop()
  rmSync(scratch, { recursive: true, force: true })
})

type Body = Record<string, unknown>
async function done(method: string, path: string, body?: unknown): Promise<Body> {
  const answer = await call(server, method, path, body)
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300)
  return answer.body
}

const RANGE = { from: '2025-01-01T00:00:00Z', to: '2025-02-01T00:00:00Z' }
const SOURCE = '/backfill/2025-01'
const oldEvent = (n: number, more: object = {}) => ({
  ...{ specversion: '1.0', id: `e${n}`, source: SOURCE, type: 'work.done' },
  ...{ subject: n % 3 === 0 ? 'acme-1' : n % 3 === 1 ? 'beta-2' : 'nobody', time: '2025-01-10T12:00:00Z' },
  data: { units: '0.1', who: `p${n % 7}` },
  ...more,
})

async function open(source = SOURCE): Promise<string> {
  return String((await done('POST', '/v1/backfills', { source, ...RANGE, reason: 'a lost export' }))['id'])
}
const send = (path: string, events: readonly object[]) =>
  call(server, 'POST', path, events, { 'content-type': 'application/cloudevents-batch+json' })

async function metered(meter: string): Promise<string> {
  const body = await done('GET', `/v1/meters/${meter}/usage?from=${RANGE.from}&to=${RANGE.to}&window=none`)
  return (body['data'] as readonly { readonly value: string }[])[0]?.value ?? '0'
}
const state = async (id: string) => (await done('GET', `/v1/backfills/${id}`))['state']
async function expectReconciled(): Promise<void> {
  const { checks, ok } = await done('POST', '/v1/reconcile', {})
  expect((checks as readonly { ok: boolean }[]).filter((check) => !check.ok)).toEqual([])
  expect(ok).toBe(true)
}

describe('a backfill', () => {
  it('is the only way in for old usage, counts nothing before its close and everything once after it', async () => {
    const events = Array.from({ length: 90 }, (_, n) => oldEvent(n))
    const usual = await send('/v1/events', events.slice(0, 1))
    expect(usual.body['rejected']).toMatchObject([{ code: 'tooOld' }])

    const id = await open()
    const path = `/v1/backfills/${id}/events`
    expect((await send(path, events)).body).toEqual({ accepted: 90, duplicates: 0, rejected: [] })
    expect((await send(path, events.slice(0, 10))).body).toMatchObject({ accepted: 0, duplicates: 10 })
    const { totals } = await done('GET', `/v1/backfills/${id}?totals`)
    expect(totals).toEqual([
      { meter: 'people', customer: null, value: '7', events: 90, unusable: 0 },
      { meter: 'people', customer: 'acme', value: '7', events: 30, unusable: 0 },
      { meter: 'people', customer: 'beta', value: '7', events: 30, unusable: 0 },
      { meter: 'units', customer: null, value: '9', events: 90, unusable: 0 },
      { meter: 'units', customer: 'acme', value: '3', events: 30, unusable: 0 },
      { meter: 'units', customer: 'beta', value: '3', events: 30, unusable: 0 },
    ])
    expect(await metered('units')).toBe('0')

    expect((await done('POST', `/v1/backfills/${id}/close`))['state']).toMatch(/^clos/)
    expect((await send(path, [oldEvent(500)])).body).toMatchObject({ status: 409, code: 'backfillNotOpen' })
    await eventually(
      () => state(id),
      (now) => now === 'closed',
    )
    expect((await done('POST', `/v1/backfills/${id}/close`))['events']).toBe(90)
    await eventually(
      () => metered('units'),
      (value) => value === '9',
    )
    expect((await call(server, 'POST', `/v1/backfills/${id}/cancel`)).status).toBe(409)
    const trace = await done('GET', `/v1/events/trace?source=${SOURCE}&id=e1`)
    expect(trace['copies']).toHaveLength(1)
    await expectReconciled()

    // The same usage by another backfill has the same identities: it adds nothing.
    const again = await open()
    await send(`/v1/backfills/${again}/events`, [...events, oldEvent(90)])
    await done('POST', `/v1/backfills/${again}/close`)
    await eventually(
      () => state(again),
      (now) => now === 'closed',
    )
    await eventually(
      () => metered('units'),
      (value) => value === '9.1',
    )
    await expectReconciled()
  })

  it('that is cancelled never counts', async () => {
    const id = await open('/backfill/wrong')
    const events = Array.from({ length: 5 }, (_, n) => oldEvent(n, { source: '/backfill/wrong' }))
    expect((await send(`/v1/backfills/${id}/events`, events)).body).toMatchObject({ accepted: 5 })
    expect((await done('POST', `/v1/backfills/${id}/cancel`))['state']).toBe('cancelled')
    expect((await done('POST', `/v1/backfills/${id}/cancel`))['state']).toBe('cancelled')
    expect((await call(server, 'POST', `/v1/backfills/${id}/close`)).body).toMatchObject({
      ...{ status: 409, code: 'backfillNotOpen', state: 'cancelled' },
    })
    await done('GET', `/v1/backfills/${id}?totals`) // waits until the events are countable
    expect(await metered('units')).toBe('9.1')
  })

  it('takes its own source and times of its range only, and is not found by another name', async () => {
    const id = await open()
    const { body } = await send(`/v1/backfills/${id}/events`, [
      oldEvent(1, { source: '/live' }),
      oldEvent(2, { time: RANGE.to }),
      oldEvent(3, { time: '2024-12-31T23:59:59.999Z' }),
      oldEvent(4, { time: undefined }),
      oldEvent(5, { time: RANGE.from }),
    ])
    expect(body).toMatchObject({
      accepted: 1,
      rejected: [
        { index: 0, code: 'foreignSource' },
        ...[1, 2, 3].map((index) => ({ index, code: 'outsideBackfill' })),
      ],
    })
    await done('POST', `/v1/backfills/${id}/cancel`)
    expect((await send('/v1/backfills/job_none/events', [oldEvent(1)])).status).toBe(404)
    const refused = async (more: object) =>
      (await call(server, 'POST', '/v1/backfills', { source: SOURCE, ...RANGE, reason: 'x', ...more })).body[
        'errors'
      ]
    expect(await refused({ source: 'urn:tallyman:void' })).toMatchObject([{ pointer: '/source' }])
    expect(await refused({ to: RANGE.from })).toMatchObject([{ pointer: '/to' }])
    expect(await refused({ to: '2999-01-01T00:00:00Z' })).toMatchObject([{ pointer: '/to' }])
    expect(await refused({ from: 'yesterday' })).toMatchObject([{ pointer: '/from' }])
  })

  it('goes on after a kill in the middle of its close', async () => {
    const id = await open('/backfill/killed')
    const events = Array.from({ length: 2000 }, (_, n) => oldEvent(n, { source: '/backfill/killed' }))
    for (let at = 0; at < events.length; at += 500) {
      expect((await send(`/v1/backfills/${id}/events`, events.slice(at, at + 500))).body).toMatchObject({
        accepted: 500,
      })
    }
    await done('POST', `/v1/backfills/${id}/close`)
    await server.kill9()
    server = await startServer({ dataDirectory: join(scratch, 'data') })
    await eventually(
      () => state(id),
      (now) => now === 'closed',
    )
    await eventually(
      () => metered('units'),
      (value) => value === '209.1',
    )
    await expectReconciled()
  })
})

describe('tallyman events backfill', () => {
  it('sends a file, shows what it would add, and closes when asked', async () => {
    const file = join(scratch, 'old.ndjson')
    const source = '/backfill/cli'
    writeFileSync(file, [1, 2, 3].map((n) => `${JSON.stringify(oldEvent(n, { source }))}\n`).join(''))
    const at = ['--url', server.apiUrl, '--key', server.adminKey, '--json']
    const range = ['--source', source, '--from', RANGE.from, '--to', RANGE.to, '--reason', 'by hand']
    const before = await metered('units')
    const opened = await runCommand(['events', 'backfill', file, ...range, ...at])
    expect(opened.exitCode, opened.stderr).toBe(0)
    const { id, state: first, sent, totals } = JSON.parse(opened.stdout) as Body
    expect({ first, sent }).toMatchObject({ first: 'open', sent: { accepted: 3 } })
    expect(totals).toContainEqual({ meter: 'units', customer: null, value: '0.3', events: 3, unusable: 0 })
    expect(await metered('units')).toBe(before)
    const closed = await runCommand(['events', 'backfill', '--id', String(id), '--close', ...at])
    expect(JSON.parse(closed.stdout)).toMatchObject({ state: 'closed', events: 3 })
    await eventually(
      () => metered('units'),
      (value) => value === '209.4',
    )
    expect((await runCommand(['events', 'backfill', file, ...at])).exitCode).toBe(2)
  })
})
