import { execFile } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { call, cleanEnvironment, type ServerProcess, startServer } from '../support/server.ts'

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-backup-'))
const servers: ServerProcess[] = []
afterAll(async () => {
  for (const server of servers) await server.kill9()
  rmSync(scratch, { recursive: true, force: true })
})

const EVENTS_PER_REQUEST = 40
const run = promisify(execFile)

/** `tallyman …` as an operator runs it; the exit code and what it wrote. */
async function tallyman(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  try {
    const output = await run(process.execPath, ['bin/tallyman.ts', ...args], { env: cleanEnvironment() })
    return { code: 0, ...output }
  } catch (error) {
    const failed = error as { readonly code: number; readonly stdout: string; readonly stderr: string }
    return { code: failed.code, stdout: failed.stdout, stderr: failed.stderr }
  }
}

async function start(dataDirectory: string): Promise<ServerProcess> {
  const server = await startServer({ dataDirectory })
  servers.push(server)
  return server
}

async function post(server: ServerProcess, numbers: readonly number[]): Promise<number> {
  const events = numbers.map((n) => ({
    ...{ specversion: '1.0', id: String(n), source: 'backup-test', type: 'work.done', subject: 'acme' },
    data: { units: '0.1' },
  }))
  const headers = { 'content-type': 'application/cloudevents-batch+json' }
  return (await call(server, 'POST', '/v1/events', events, headers)).status
}

/** Sends numbered events, one request after another, until the server dies. */
function startLoad(server: ServerProcess, counter: { next: number }) {
  const acknowledged = new Set<number>()
  const send = async (): Promise<void> => {
    for (;;) {
      const numbers = Array.from({ length: EVENTS_PER_REQUEST }, () => counter.next++)
      try {
        if ((await post(server, numbers)) === 202) for (const n of numbers) acknowledged.add(n)
      } catch {
        return // the connection broke: nothing is known of this request
      }
    }
  }
  return { acknowledged, ended: Promise.all([send(), send()]) }
}

async function metered(server: ServerProcess, meter: string): Promise<string> {
  const range = `from=${new Date(Date.now() - 86_400_000).toISOString()}&to=${new Date(Date.now() + 86_400_000).toISOString()}`
  const { status, body } = await call(server, 'GET', `/v1/meters/${meter}/usage?${range}&window=none`)
  expect(status, JSON.stringify(body)).toBe(200)
  return (body['data'] as readonly { readonly value: string }[])[0]?.value ?? '0'
}

async function expectReconciled(server: ServerProcess): Promise<void> {
  const { body } = await call(server, 'POST', '/v1/reconcile', {})
  expect((body['checks'] as readonly { ok: boolean }[]).filter(({ ok }) => !ok)).toEqual([])
  expect(body['ok']).toBe(true)
}

describe('backup and restore', () => {
  const backup = join(scratch, 'backup')
  let units = ''

  it('a backup under load has everything that was acknowledged before it; the log is read again from it', async () => {
    const first = await start(join(scratch, 'data'))
    for (const [key, meter] of Object.entries({
      units: { name: 'Units', eventType: 'work.done', aggregation: 'sum', valueProperty: 'units' },
      jobs: { name: 'Jobs \u2028 done', eventType: 'work.done', aggregation: 'count' },
    })) {
      expect((await call(first, 'PUT', `/v1/meters/${key}`, meter)).status).toBeLessThan(300)
    }
    const created = await call(first, 'POST', '/v1/keys', {
      name: 'emitter',
      scopes: ['ingest', 'read', 'admin'],
    })
    const emitter = String(created.body['key'])
    const counter = { next: 0 }
    const load = startLoad(first, counter)
    await eventually(
      () => load.acknowledged.size,
      (size) => size > 4000,
    )
    // Some of them are rows by now, so that the backup has usage as well as log.
    await eventually(
      async () => Number(await metered(first, 'jobs')),
      (count) => count > 0,
    )
    const before = new Set(load.acknowledged)
    const taken = await tallyman(
      'backup',
      backup,
      '--data',
      join(scratch, 'data'),
      '--url',
      first.apiUrl,
      '--json',
    )
    expect(taken.stderr).toContain('{"step":')
    expect(taken.code, taken.stderr).toBe(0)
    const after = load.acknowledged.size
    expect(after, 'events were accepted during the backup').toBeGreaterThan(before.size)
    await eventually(
      () => load.acknowledged.size,
      (size) => size > after + 1000,
    )
    await first.kill9()
    await load.ended

    const restored = await tallyman('restore', backup, '--data', join(scratch, 'restored'), '--json')
    expect(restored.code, restored.stderr).toBe(0)
    const second = await start(join(scratch, 'restored'))
    const jobs = await eventually(
      async () => Number(await metered(second, 'jobs')),
      (count) => count >= before.size,
    )
    expect(jobs).toBeLessThanOrEqual(counter.next)
    await expectReconciled(second)
    // The keys of before are good, the names have all their characters.
    const holder = { apiUrl: second.apiUrl, adminKey: emitter }
    expect((await call(holder, 'GET', '/v1/meters/jobs')).body['name']).toBe('Jobs \u2028 done')
    // As after every fault, clients send again what was not acknowledged to them, and more: all counts once.
    for (let n = 0; n < counter.next; n += EVENTS_PER_REQUEST) {
      const numbers = Array.from({ length: EVENTS_PER_REQUEST }, (_, i) => n + i)
      expect(await post(second, numbers)).toBe(202)
    }
    await eventually(
      () => metered(second, 'jobs'),
      (count) => count === String(counter.next),
    )
    units = await metered(second, 'units')
    expect(Number(units) * 10).toBeCloseTo(counter.next, 6)
    await expectReconciled(second)
    // What is made after the restore does not meet numbers of before it.
    expect((await call(second, 'POST', '/v1/keys', { name: 'later', scopes: ['read'] })).status).toBe(201)
    expect(await second.stop()).toBe(0)
    console.log(
      `acknowledged before ${before.size}, during ${after - before.size}, lost 0 of those before, twice 0`,
    )
  })

  it('a stopped data directory is backed up without a server, and the copy starts with the same totals', async () => {
    const copy = join(scratch, 'copy')
    const taken = await tallyman('backup', copy, '--data', join(scratch, 'restored'))
    expect(taken.code, taken.stderr).toBe(0)
    const restored = await tallyman('restore', copy, '--data', join(scratch, 'again'))
    expect(restored.code, restored.stderr).toBe(0)
    const server = await start(join(scratch, 'again'))
    expect(await metered(server, 'units')).toBe(units)
    await expectReconciled(server)
    await server.stop()
  })

  it('refuses a directory in use by a server that does not answer, a target that is not empty, a damaged backup', async () => {
    const server = await start(join(scratch, 'again'))
    const listed = await call(server, 'GET', '/v1/backups')
    expect(listed.body['data']).toEqual([])
    const elsewhere = await tallyman(
      'backup',
      join(scratch, 'x'),
      '--data',
      join(scratch, 'again'),
      '--url',
      'http://127.0.0.1:9',
    )
    expect(elsewhere.code).toBe(1)
    expect(elsewhere.stderr).toContain('No server answers')
    await server.stop()

    const full = join(scratch, 'full')
    const notEmpty = await tallyman('restore', backup, '--data', scratch)
    expect(notEmpty.code).toBe(1)
    expect(notEmpty.stderr).toContain('is not empty')

    const events = join(backup, 'clickhouse', 'usage_events')
    const victim = join(events, readdirSync(events)[0] ?? '')
    const bytes = readFileSync(victim)
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    writeFileSync(victim, bytes)
    appendFileSync(join(backup, 'postgres', 'meters.ndjson.gz'), 'x')
    const damaged = await tallyman('restore', backup, '--data', full)
    expect(damaged.code).toBe(1)
    expect(damaged.stderr).toMatch(/usage_events\/\d+\.native\.zst has changed/)
    expect(damaged.stderr).toMatch(/meters\.ndjson\.gz has \d+ bytes instead of/)
    rmSync(join(backup, 'manifest.json'))
    expect((await tallyman('restore', backup, '--data', full)).stderr).toContain('is no backup')
    expect(existsSync(full)).toBe(false)
    expect(existsSync(`${full}.restoring`)).toBe(false)
  })
})
