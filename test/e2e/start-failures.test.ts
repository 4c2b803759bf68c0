import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ClickHouseServer, startClickHouseServer } from '../support/clickhouse-server.ts'
import { eventually } from '../support/eventually.ts'
import { freePorts } from '../support/kafka-node.ts'
import { descendantsOf, isRunning } from '../support/processes.ts'
import { type ServerProcess, startServer } from '../support/server.ts'
import { type AttemptResult, attemptStart } from '../support/start-attempt.ts'

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-starts-'))
const servers: ServerProcess[] = []
let taken: Server
let takenPort: string
let clickhouse: ClickHouseServer

/** What was opened, in order: it is closed backwards, also where a later one did not open. */
const undo: (() => unknown)[] = [() => rmSync(scratch, { recursive: true, force: true })]

beforeAll(async () => {
  taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  undo.push(() => new Promise((resolve) => taken.close(resolve)))
  takenPort = String((taken.address() as AddressInfo).port)
  clickhouse = await startClickHouseServer()
  undo.push(() => clickhouse.stop())
})
afterAll(async () => {
  for (const server of servers) await server.kill9()
  for (const step of undo.reverse()) await step()
})

async function started(name: string, env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  const server = await startServer({ dataDirectory: join(scratch, name), env })
  servers.push(server)
  return server
}

/** What a person at the terminal is owed: what to do, exit code 1, no stack trace. */
function expectFailure(result: AttemptResult, what: RegExp): void {
  expect(result.stderr).toMatch(what)
  expect(result.stderr).not.toMatch(/^\s+at |node:internal/m)
  expect(result.stdout).toBe('')
  expect(result.exitCode, result.stderr).toBe(1)
}

const NOBODY = 65534
const free = ['--port', '0', '--metrics-port', '0'] as const

describe('a start that cannot be', () => {
  it.each([
    ['--port', /Port \d+ on 127\.0\.0\.1 is taken.*TALLYMAN_PORT or --port \(0 takes a free one\)/],
    ['--metrics-port', /Port \d+ on 127\.0\.0\.1 is taken.*TALLYMAN_METRICS_PORT or --metrics-port/],
  ])('names the option when %s is taken', async (option, message) => {
    const data = join(scratch, `taken${option}`)
    expectFailure(await attemptStart(['--data', data, ...free, option, takenPort]), message)
  })

  it('leaves no engine running when the port turns out to be taken', async () => {
    // The API's socket opens last, so that everything else has started by then.
    const data = join(scratch, 'taken--port')
    const again = await startServer({ dataDirectory: data })
    servers.push(again)
    expect(await again.stop()).toBe(0)
  })

  it('names the process that has the data directory', async () => {
    const first = await started('shared')
    const result = await attemptStart(['--data', join(scratch, 'shared'), ...free])
    expectFailure(result, new RegExp(`open in process ${first.pid}|process ${first.pid}`))
    expect(await first.stop()).toBe(0)
  })

  it('says whose right is missing when the data directory cannot be written', async () => {
    const closed = join(scratch, 'closed')
    mkdirSync(closed)
    chmodSync(closed, 0o500)
    // root may write anywhere.
    const who = process.getuid?.() === 0 ? { uid: NOBODY } : {}
    expectFailure(await attemptStart(['--data', closed, ...free], who), /cannot be written.*--data/)
  })

  it('says so when the data directory is a file, or below one', async () => {
    const file = join(scratch, 'file')
    writeFileSync(file, '')
    for (const data of [file, join(file, 'below')]) {
      expectFailure(await attemptStart(['--data', data, ...free]), /is not a directory.*--data/)
    }
  })

  it('says so where no directory can be made', async () => {
    expectFailure(await attemptStart(['--data', '/proc/tallyman', ...free]), /\/proc\/tallyman.*--data/)
  })

  it('names the known key nearest to an unknown one, in the file and in the environment', async () => {
    const config = join(scratch, 'tallyman.yaml')
    writeFileSync(config, 'ingest:\n  requestEventMax: 10\nprot: 1\n')
    const data = join(scratch, 'unused')
    const result = await attemptStart(['--config', config, '--data', data], {
      env: { TALLYMAN_DATADIR: data },
    })
    expectFailure(result, /unknown key "ingest\.requestEventMax". Did you mean "ingest\.requestEventsMax"/)
    expect(result.stderr).toContain('unknown key "prot". Did you mean "port"')
    expect(result.stderr).toContain('TALLYMAN_DATADIR. Did you mean TALLYMAN_DATA_DIR')
  })

  it('names the addresses that a role apart needs', async () => {
    const result = await attemptStart(['--role', 'ingest', '--data', join(scratch, 'apart'), ...free])
    expectFailure(result, /KAFKA_BROKERS and DATABASE_URL, or start with --role all/)
  })

  it.each([
    ['KAFKA_BROKERS', (port: string) => `127.0.0.1:${port}`, /KAFKA_BROKERS/],
    ['CLICKHOUSE_URL', (port: string) => `http://127.0.0.1:${port}`, /CLICKHOUSE_URL/],
    ['DATABASE_URL', (port: string) => `postgresql://tallyman@127.0.0.1:${port}/tallyman`, /PostgreSQL/],
  ])('names what does not answer: %s', async (variable, address, message) => {
    const port = String((await freePorts(1))[0])
    const data = join(scratch, `away-${variable}`)
    const result = await attemptStart(['--data', data, ...free], { env: { [variable]: address(port) } })
    expectFailure(result, message)
    expect(result.stderr).toContain(port)
  })
})

describe('the end of a process', () => {
  it('drains at Ctrl-C and leaves no child process', async () => {
    const server = await started('ended')
    const below = descendantsOf(server.pid)
    expect(below.length).toBeGreaterThan(0)
    process.kill(server.pid, 'SIGINT')
    expect(await server.exited, server.errors()).toBe(0)
    await eventually(
      () => below.filter(isRunning),
      (left) => left.length === 0,
      5000,
    )
  })

  it('leaves no child process when it is killed', async () => {
    const server = await started('ended')
    const below = descendantsOf(server.pid)
    await server.kill9()
    await eventually(
      () => below.filter(isRunning),
      (left) => left.length === 0,
      5000,
    )
  })

  it('ends at once at the second Ctrl-C', async () => {
    const server = await started('twice', { CLICKHOUSE_URL: clickhouse.url })
    const below = descendantsOf(server.pid)
    // With ClickHouse standing still, draining takes its time.
    clickhouse.freeze()
    await send(server)
    process.kill(server.pid, 'SIGINT')
    await eventually(
      () => server.errors(),
      (text) => text.includes('stopping'),
    )
    const askedMs = performance.now()
    process.kill(server.pid, 'SIGINT')
    expect(await server.exited).toBe(1)
    expect(performance.now() - askedMs).toBeLessThan(2000)
    clickhouse.thaw()
    await eventually(
      () => below.filter(isRunning),
      (left) => left.length === 0,
      5000,
    )
  })

  it('ends within the limit when an engine does not come back, and says what it waited for', async () => {
    const server = await started('limited', {
      CLICKHOUSE_URL: clickhouse.url,
      TALLYMAN_SHUTDOWN_SECONDS: '2',
    })
    const below = descendantsOf(server.pid)
    clickhouse.freeze()
    await send(server)
    const askedMs = performance.now()
    expect(await server.stop()).toBe(1)
    expect(performance.now() - askedMs).toBeLessThan(30_000)
    expect(server.errors()).toContain('Stopping did not end in time')
    clickhouse.thaw()
    await eventually(
      () => below.filter(isRunning),
      (left) => left.length === 0,
      5000,
    )
  })
})

/** One event, so that there is something to be written. */
async function send(server: ServerProcess): Promise<void> {
  const response = await fetch(`${server.apiUrl}/v1/events`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${server.adminKey}`,
      'content-type': 'application/cloudevents+json',
    },
    body: JSON.stringify({
      specversion: '1.0',
      id: 'one',
      source: 'start-failures',
      type: 'tried',
      subject: 'acme',
      time: new Date().toISOString(),
    }),
  })
  expect(response.status).toBe(202)
}
