import { type ChildProcess, execFile, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { Registry } from 'prom-client'
import { createForwardAuth } from '../src/http/gate/forward-auth.ts'
import { createGateListener } from '../src/http/gate/listener.ts'
import type { CustomerKey } from '../src/id/ids.ts'
import { createGatekeeper } from '../src/provision/gatekeeper.ts'
import { createKeyTable } from '../src/provision/key-table.ts'
import { createLocalGate } from '../src/provision/local-gate.ts'
import { mintKey } from '../src/provision/mint.ts'
import { createHttpMetrics } from '../src/telemetry/http.ts'
import { createProvisionMetrics } from '../src/telemetry/provision.ts'
import { instantOf } from '../src/time/instant.ts'
import { TENANT } from '../test/support/gate.ts'
import { CALLS, openLeasing } from '../test/support/leasing.ts'
import type { Figure } from './figure.ts'

/**
 * The gate as a proxy asks it over HTTP, beside a bare Hono route in the same run: wrk on one thread, the server in a
 * process of its own, both on the same cores. Every answer is 200, and carries RateLimit fields.
 */
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 6)
const WARM_UP_SECONDS = 3
const CONNECTIONS = [1, 32] as const
const KEYS = 1_000
const SERVERS = [
  { name: 'bare Hono route', mode: 'bare', path: '/v1/gate/authorize' },
  { name: 'forward-auth, key', mode: 'gate', path: '/v1/gate/authorize?permission=chat.write' },
  {
    name: 'forward-auth, key and a leased unit',
    mode: 'gate',
    path: '/v1/gate/authorize?permission=chat.write&cost.calls=1',
  },
] as const

export async function run(): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-bench-'))
  const keysFile = join(directory, 'keys')
  try {
    const figures: Figure[] = []
    for (const { name, mode, path } of SERVERS) {
      await withServer([mode, keysFile], async (url) => {
        await load(url, keysFile, path, 32, WARM_UP_SECONDS)
        for (const connections of CONNECTIONS) {
          const { requests, micros, p50, p99 } = await load(url, keysFile, path, connections, SECONDS)
          const told = [
            { metric: 'requests', value: requests / (micros / 1e6), unit: 'req/s' },
            { metric: 'p50', value: p50 / 1000, unit: 'ms' },
            { metric: 'p99', value: p99 / 1000, unit: 'ms' },
          ]
          for (const { metric, ...figure } of told) {
            const of = (server: string): string => `${server}, ${connections} connections: ${metric}`
            const floor = figures.find((one) => one.metric === of(SERVERS[0].name))?.value
            figures.push({ metric: of(name), ...figure, ...(floor === undefined ? {} : { floor }) })
          }
        }
      })
    }
    return figures
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function withServer(args: readonly string[], use: (url: string) => Promise<void>): Promise<void> {
  const server: ChildProcess = fork(import.meta.filename, ['serve', ...args])
  try {
    const [url] = (await once(server, 'message')) as [string]
    await use(url)
  } finally {
    if (server.connected) server.send('stop')
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  }
}

interface Load {
  readonly requests: number
  readonly micros: number
  readonly p50: number
  readonly p99: number
  readonly status: number
  readonly socket: number
}

async function load(
  url: string,
  keysFile: string,
  path: string,
  connections: number,
  seconds: number,
): Promise<Load> {
  const script = join(import.meta.dirname, 'wrk/gate.lua')
  const threads = ['-t1', `-c${connections}`, `-d${seconds}s`]
  const { stdout } = await promisify(execFile)('wrk', [
    ...threads,
    '--latency',
    '-s',
    script,
    url,
    '--',
    keysFile,
    path,
  ]).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Error('wrk is not installed: apt-get install wrk', { cause: error })
  })
  const line = stdout.split('\n').find((one) => one.startsWith('RESULT '))
  if (line === undefined) throw new Error(`wrk gave no result:\n${stdout}`)
  const result = JSON.parse(line.slice('RESULT '.length)) as Load
  if (result.status + result.socket > 0) {
    throw new Error(`${result.status} answers were not 2xx, ${result.socket} sockets failed`)
  }
  return result
}

/** A key of a customer of its own each, all of them with a month of more calls than a bench can make. */
async function gateListener(keysFile: string): Promise<RequestListener> {
  const leasing = openLeasing()
  const authority = await leasing.authority()
  const registry = new Registry()
  const now = leasing.now
  const table = createKeyTable({
    holders: { now: () => now },
    monotonicMs: () => performance.now(),
    metrics: createProvisionMetrics(registry),
  })
  const keys: string[] = []
  for (let i = 0; i < KEYS; i++) {
    const customer = `customer-${i}` as CustomerKey
    const { key, state } = mintKey(
      { tenant: TENANT, name: 'bench', scopes: ['chat.write'], customer, quotas: [CALLS] },
      { nowMs: now, createdAt: instantOf(now), randomBytes },
    )
    table.apply(state)
    keys.push(key)
    const terms = {
      limit: 10n ** 15n,
      unit: 'calls',
      period: 'month',
      timezone: 'UTC',
      billingPeriod: null,
      ladder: [],
      rollover: null,
      onUnavailable: 'closed',
    } as const
    const account = { tenant: TENANT, quotaKey: CALLS, holder: { kind: 'customer', id: customer } } as const
    await authority.submit(account, { kind: 'setTerms', terms }, now)
  }
  writeFileSync(keysFile, keys.join('\n'))
  const enforcer = leasing.enforcer(authority)
  const gatekeeper = createGatekeeper({ table, enforcer, authority, random: Math.random })
  let requests = 0
  const listener = createGateListener({
    forwardAuth: createForwardAuth({
      gate: createLocalGate({ gatekeeper, tenant: TENANT }),
      keyHeader: null,
      newRequestId: () => `req_${++requests}`,
      onFault: fail,
    }),
    metrics: createHttpMetrics(registry),
    onFault: fail,
  })
  return (request, response) => {
    if (!listener(request, response)) response.writeHead(404).end()
  }
}

function fail(error: unknown): never {
  throw error
}

async function serve(mode: string, keysFile: string): Promise<void> {
  const bare = new Hono().get('/v1/gate/authorize', (c) => c.body(null, 200))
  // The keys are made for the bare route, too: wrk sends the same requests to both.
  const gate = await gateListener(keysFile)
  const bareListener = getRequestListener(bare.fetch)
  const server = createServer(
    mode === 'bare' ? (request, response) => void bareListener(request, response) : gate,
  )
  server.listen(0, '127.0.0.1', () => {
    process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  })
  process.on('message', () => process.exit(0))
}

if (process.argv[2] === 'serve') await serve(process.argv[3] ?? '', process.argv[4] ?? '')
