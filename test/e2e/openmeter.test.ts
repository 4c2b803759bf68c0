import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OpenMeter } from '@openmeter/sdk'
import { afterAll, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { call, type ServerProcess, startServer } from '../support/server.ts'

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-openmeter-'))
let server: ServerProcess
afterAll(async () => {
  await server.stop()
  rmSync(scratch, { recursive: true, force: true })
})

it("OpenMeter's own SDK sends events to a running server and reads meters, events and entitlements back", async () => {
  server = await startServer({ dataDirectory: join(scratch, 'data') })
  const put = async (path: string, body: unknown): Promise<void> => {
    const answer = await call(server, 'PUT', path, body)
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300)
  }
  await put('/v1/meters/tokens', {
    ...{ name: 'Tokens', eventType: 'llm.request', aggregation: 'sum', valueProperty: 'tokens' },
    groupBy: { model: 'model' },
  })
  await put('/v1/customers/acme', { name: 'Acme', subjects: ['acme-1'], currency: 'USD', timezone: 'UTC' })
  const openmeter = new OpenMeter({ baseUrl: server.apiUrl, apiKey: server.adminKey })
  const hour = new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000 - 2 * 3_600_000)
  await openmeter.events.ingest(
    ['a', 'b', 'c'].map((id, i) => ({
      ...{ id, source: '/sdk', type: 'llm.request', subject: 'acme-1' },
      ...{ time: new Date(hour.getTime() + i * 1000), data: { tokens: '2.5', model: i === 0 ? 'x' : 'y' } },
    })),
  )
  const rows = await eventually(
    async () => (await openmeter.meters.query('tokens', { groupBy: ['model'] })).data,
    (data) => data.length === 2,
  )
  expect(rows.map(({ value, groupBy }) => [value, groupBy['model']])).toEqual([
    [2.5, 'x'],
    [5, 'y'],
  ])
  const windows = await openmeter.meters.query('tokens', {
    ...{ windowSize: 'HOUR', from: hour, to: new Date(hour.getTime() + 7_200_000), subject: ['acme-1'] },
  })
  expect(windows.data).toMatchObject([{ value: 7.5, subject: 'acme-1' }])
  await expect(openmeter.meters.query('none')).rejects.toMatchObject({ status: 404 })
  const listed = await openmeter.events.list({ limit: 2 })
  expect(listed?.map(({ event }) => event.id)).toEqual(['c', 'b'])
  expect(listed?.[0]?.event.data).toEqual({ tokens: '2.5', model: 'y' })

  await put('/v1/quotas/monthly-tokens', {
    ...{ meter: 'tokens', unit: 'tokens', limit: '5', period: 'month', mode: 'observed' },
    ladder: [{ at: '1', action: 'suspend' }],
    onUnavailable: 'open',
  })
  const key = {
    customer: 'acme',
    subject: 'acme-1',
    name: 'k',
    scopes: ['ingest'],
    quotas: ['monthly-tokens'],
  }
  expect((await call(server, 'POST', '/v1/keys', key)).status).toBe(201)
  const value = await eventually(
    () => openmeter.entitlementsV1.value('acme-1', 'monthly-tokens'),
    (found) => found?.usage === 7.5,
  )
  expect(value).toMatchObject({ hasAccess: false, balance: 0, usage: 7.5, overage: 2.5 })
  await expect(openmeter.entitlementsV1.value('acme-1', 'none')).rejects.toMatchObject({ status: 404 })
})
