import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DemoResult } from '../support/demo.ts'
import { eventually } from '../support/eventually.ts'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { startFrontDoor } from '../support/front-door.ts'
import { runCommand } from '../support/run-cli.ts'
import { call, type ServerProcess } from '../support/server.ts'

/** Longest time until a role apart knows of a key or a meter that was made at the api role. */
const KNOWN_MS_MAX = 1000

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-roles-'))
let fleet: Fleet
let ingest: ServerProcess
let api: ServerProcess
let provision: ServerProcess
let invoice: ServerProcess
const aggregates: ServerProcess[] = []

beforeAll(async () => {
  fleet = await startFleet()
  // The api role first: it makes the tables and topics that the others share.
  api = await fleet.start('api')
  const [first, second, ...others] = await Promise.all([
    fleet.start('aggregate', 'aggregate-1'),
    fleet.start('aggregate', 'aggregate-2'),
    fleet.start('ingest'),
    fleet.start('provision'),
    fleet.start('invoice'),
  ])
  aggregates.push(first, second)
  ;[ingest, provision, invoice] = others
})
afterAll(async () => {
  await fleet.stop()
  rmSync(scratch, { recursive: true, force: true })
})

const said = (): string =>
  [api, ingest, ...aggregates, provision, invoice].map((server) => server.errors()).join('\n')

describe('roles apart on Kafka, ClickHouse and PostgreSQL', () => {
  it('makes the invoice of the demo through one front door', async () => {
    const door = await startFrontDoor(({ method, url }) =>
      method === 'POST' && url?.startsWith('/v1/events') === true ? ingest.apiUrl : api.apiUrl,
    )
    try {
      const run = await runCommand(['demo', '--json', '--data', join(scratch, 'demo')], {
        deps: {
          startSystem: () =>
            Promise.resolve({
              apiUrl: door.url,
              metricsUrl: api.metricsUrl,
              adminKey: api.adminKey,
              failed: new Promise<never>(() => undefined),
              stop: () => Promise.resolve(),
            }),
        },
      })
      expect(run.exitCode, `${run.stderr}\n${said()}`).toBe(0)
      const result = JSON.parse(run.stdout) as DemoResult
      expect(result.events.accepted).toBe(8819)
      expect(result.quota.keyStatus).toBe('suspended')
      expect(result.invoice.total).toBe('65.58')
      expect(result.reconcile.ok).toBe(true)
    } finally {
      await door.stop()
    }
  })

  it('lets a key that was made at the api role in at the ingest role, and out again when it is revoked', async () => {
    const made = await call(api, 'POST', '/v1/keys', { name: 'a service', scopes: ['ingest'] })
    expect(made.status, JSON.stringify(made.body)).toBe(201)
    const sender = { apiUrl: ingest.apiUrl, adminKey: String(made.body['key']) }
    const event = {
      specversion: '1.0',
      id: 'first',
      source: 'roles-test',
      type: 'roles.tried',
      subject: 'globex',
      time: new Date().toISOString(),
    }
    const send = async (): Promise<number> =>
      (await call(sender, 'POST', '/v1/events', event, { 'content-type': 'application/cloudevents+json' }))
        .status
    const began = performance.now()
    await eventually(send, (status) => status === 202, KNOWN_MS_MAX)
    console.log(`a key was known to the ingest role after ${(performance.now() - began).toFixed(0)} ms`)
    const id = String(made.body['id'])
    expect((await call(api, 'DELETE', `/v1/keys/${id}`)).status, id).toBeLessThan(300)
    await eventually(send, (status) => status === 401, KNOWN_MS_MAX)
  })

  it('answers usage with what counts, wherever it was aggregated', async () => {
    const meter = { name: 'Roles', eventType: 'roles.counted', aggregation: 'count' }
    expect((await call(api, 'PUT', '/v1/meters/roles', meter)).status).toBeLessThan(300)
    const sender = { apiUrl: ingest.apiUrl, adminKey: api.adminKey }
    const now = new Date().toISOString()
    const events = Array.from({ length: 500 }, (_, n) => ({
      specversion: '1.0',
      id: `counted-${n}`,
      source: 'roles-test',
      type: 'roles.counted',
      subject: 'globex',
      time: now,
    }))
    const sent = await call(sender, 'POST', '/v1/events', events, {
      'content-type': 'application/cloudevents-batch+json',
    })
    expect(sent).toMatchObject({ status: 202, body: { accepted: 500 } })
    const from = new Date(Date.now() - 3_600_000).toISOString()
    const to = new Date(Date.now() + 3_600_000).toISOString()
    for (const server of [api, provision, invoice]) {
      const usage = await eventually(
        () => call(server, 'GET', `/v1/meters/roles/usage?from=${from}&to=${to}&window=none`),
        ({ body }) => JSON.stringify(body['data']).includes('"500"'),
      )
      expect(usage.status).toBe(200)
    }
    for (const server of aggregates) {
      const metrics = await (await fetch(`${server.metricsUrl}/metrics`)).text()
      expect(Number(/^tallyman_clickhouse_insert_rows_total (\d+)/m.exec(metrics)?.[1])).toBeGreaterThan(0)
    }
  })

  it('drains and ends with 0 in every role', async () => {
    for (const server of [ingest, ...aggregates, provision, invoice, api]) {
      expect(await server.stop(), server.errors()).toBe(0)
    }
  })
})
