import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { connectUsageStore } from '../../src/store/usage-store.ts'
import { eventually } from '../support/eventually.ts'
import { runCommand } from '../support/run-cli.ts'
import { call, type ServerProcess, startServer } from '../support/server.ts'

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-rebuild-'))
const dataDirectory = join(scratch, 'data')
let server: ServerProcess
afterAll(async () => {
  await server.stop()
  rmSync(scratch, { recursive: true, force: true })
})

const HOUR_MS = 3_600_000
const startedAt = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 5 * HOUR_MS

async function units(): Promise<string> {
  const range = `from=${new Date(startedAt).toISOString()}&to=${new Date(startedAt + 4 * HOUR_MS).toISOString()}`
  const { body } = await call(server, 'GET', `/v1/meters/units/usage?${range}&window=none`)
  return (body['data'] as readonly { readonly value: string }[])[0]?.value ?? '0'
}

async function failedChecks(): Promise<readonly string[]> {
  const { body } = await call(server, 'POST', '/v1/reconcile', {})
  return (body['checks'] as readonly { name: string; ok: boolean }[])
    .filter((check) => !check.ok)
    .map(({ name }) => name)
}

describe('rebuilds', () => {
  it('rows that ClickHouse has lost come back from the log, and the rollups with them', async () => {
    server = await startServer({ dataDirectory })
    const meter = { name: 'Units', eventType: 'work.done', aggregation: 'sum', valueProperty: 'units' }
    await call(server, 'PUT', '/v1/meters/units', meter)
    const events = Array.from({ length: 300 }, (_, n) => ({
      ...{ specversion: '1.0', id: `e${n}`, source: '/rebuild', type: 'work.done', subject: `s${n % 5}` },
      ...{ time: new Date(startedAt + n * 40_000).toISOString(), data: { units: '0.5' } },
    }))
    await call(server, 'POST', '/v1/events', events, { 'content-type': 'application/cloudevents-batch+json' })
    await eventually(units, (value) => value === '150')
    await server.stop()

    const store = await connectUsageStore({ kind: 'embedded', directory: join(dataDirectory, 'clickhouse') })
    await store.command("DELETE FROM usage_events WHERE id LIKE 'e1%'")
    await store.close()

    server = await startServer({ dataDirectory })
    expect((await failedChecks()).some((name) => name.startsWith('events equal log'))).toBe(true)
    const at = ['--url', server.apiUrl, '--key', server.adminKey, '--json']
    const replayed = await runCommand(['replay', '--from', '0', ...at])
    expect(replayed.exitCode, replayed.stderr).toBe(0)
    expect(JSON.parse(replayed.stdout)).toMatchObject({ kind: 'rows', state: 'done' })
    expect(await failedChecks()).toEqual([])
    expect(await units()).toBe('150')

    const rebuilt = await runCommand(['usage', 'rebuild', ...at])
    expect(rebuilt.exitCode, rebuilt.stderr).toBe(0)
    const job = JSON.parse(rebuilt.stdout) as { readonly done: number; readonly total: number }
    expect(job).toMatchObject({ kind: 'rollups', state: 'done' })
    expect(job.done).toBeGreaterThan(0)
    expect(await units()).toBe('150')
    expect(await failedChecks()).toEqual([])
    expect((await runCommand(['replay', '--from', 'x:1', ...at])).exitCode).toBe(2)
    expect((await call(server, 'POST', '/v1/replays', { from: [{ partition: 8, offset: 0 }] })).status).toBe(
      400,
    )
  })
})
