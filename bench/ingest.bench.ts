import { type ChildProcess, execFile, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { JsonTape } from '../src/ingest/json-tape.ts'
import { connectKafkaLog } from '../src/log/kafka/kafka-log.ts'
import { openEmbeddedLog } from '../src/log/embedded/embedded-log.ts'
import { startKafka } from '../test/support/kafka.ts'
import type { EventLog } from '../src/usage/event-log.ts'
import type { Figure } from './figure.ts'
import { serveBare, type ServerFigures, serveIngest } from './ingest-server.ts'

/**
 * Acknowledged events over HTTP: wrk on one thread, the server in a process of its own, both and the log on the same
 * cores. Every request carries new ids, and only answers 2xx count.
 */
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 8)
const API_KEY = 'bench-key-of-the-ingest-server'
const WARM_UP_SECONDS = 3
const SHAPES = [
  { perRequest: 1, connections: 32 },
  { perRequest: 1, connections: 64 },
  { perRequest: 100, connections: 32 },
  { perRequest: 100, connections: 64 },
] as const

const temporary = (): string => mkdtempSync(join(tmpdir(), 'tallyman-bench-'))

export async function run(): Promise<readonly Figure[]> {
  requireWrk()
  const figures: Figure[] = []
  for (const perRequest of [1, 100]) figures.push(...(await floors(perRequest)))
  const bare = await withServer(['bare'], (server, url) => measureAll('bare HTTP, ', server, url, []))
  figures.push(...bare)
  const directory = temporary()
  try {
    figures.push(
      ...(await withServer(['embedded', directory], (server, url) => measureAll('', server, url, bare))),
    )
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  const kafka = await startKafka()
  try {
    const args = ['kafka', kafka.brokers.join(',')]
    figures.push(...(await withServer(args, (server, url) => measureAll('Kafka, ', server, url, bare))))
  } finally {
    await kafka.stop()
  }
  return figures
}

async function withServer<T>(
  args: readonly string[],
  use: (server: ChildProcess, url: string) => Promise<T>,
): Promise<T> {
  const server = fork(import.meta.filename, ['serve', ...args])
  try {
    const [url] = (await once(server, 'message')) as [string]
    return await use(server, url)
  } finally {
    if (server.connected) server.send('stop')
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  }
}

async function measureAll(
  prefix: string,
  server: ChildProcess,
  url: string,
  floor: readonly Figure[],
): Promise<readonly Figure[]> {
  await load(url, 100, 32, WARM_UP_SECONDS)
  await load(url, 1, 64, WARM_UP_SECONDS)
  const figures: Figure[] = []
  for (const { perRequest, connections } of SHAPES) {
    const before = await ask(server)
    const result = await load(url, perRequest, connections)
    const after = await ask(server)
    const name = `${perRequest}/request, ${connections} connections`
    const told = figuresOf(result, before, after, prefix.startsWith('bare') ? 1 : perRequest)
    for (const figure of told) {
      const floorValue = floor.find(({ metric }) => metric === `bare HTTP, ${name}: ${figure.metric}`)?.value
      const metric = `${prefix}${name}: ${figure.metric}`
      figures.push({ ...figure, metric, ...(floorValue === undefined ? {} : { floor: floorValue }) })
    }
  }
  return figures
}

function requireWrk(): void {
  try {
    execFileSync('wrk', ['--version'], { stdio: 'ignore' })
  } catch (error) {
    // wrk --version prints and exits 1; only a missing program is a fault.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new Error('wrk is not installed: apt-get install wrk', { cause: error })
    }
  }
}

interface Load {
  readonly requests: number
  readonly micros: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly status: number
  readonly socket: number
}

let runs = 0

async function load(url: string, perRequest: number, connections: number, seconds = SECONDS): Promise<Load> {
  const prefix = `${process.pid}-${++runs}`
  const script = join(import.meta.dirname, 'wrk/events.lua')
  const { stdout } = await promisify(execFile)('wrk', [
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--latency',
    '-s',
    script,
    url,
    '--',
    API_KEY,
    String(perRequest),
    prefix,
  ])
  const line = stdout.split('\n').find((one) => one.startsWith('RESULT '))
  if (line === undefined) throw new Error(`wrk gave no result:\n${stdout}`)
  const result = JSON.parse(line.slice('RESULT '.length)) as Load
  if (result.status + result.socket > 0) {
    throw new Error(`${result.status} answers were not 2xx, ${result.socket} sockets failed`)
  }
  return result
}

async function ask(server: ChildProcess): Promise<ServerFigures> {
  server.send('figures')
  const [told] = (await once(server, 'message')) as [ServerFigures]
  return told
}

function figuresOf(
  { requests, micros, p50, p99 }: Load,
  before: ServerFigures,
  after: ServerFigures,
  perRequest: number,
): readonly Figure[] {
  const seconds = micros / 1e6
  const acknowledged = requests * perRequest
  const accepted = after.accepted - before.accepted
  // What was answered when wrk stopped counting may be more than it saw, never less.
  if (accepted < acknowledged) throw new Error(`${acknowledged} acknowledged, only ${accepted} accepted`)
  const cpuMicros = after.cpuMicros - before.cpuMicros
  const appends = after.appends - before.appends
  return [
    { metric: 'requests', value: requests / seconds, unit: 'req/s' },
    { metric: 'acknowledged', value: acknowledged / seconds, unit: 'events/s' },
    { metric: 'p50', value: p50 / 1000, unit: 'ms' },
    { metric: 'p99', value: p99 / 1000, unit: 'ms' },
    { metric: 'CPU of the server per request', value: cpuMicros / (accepted / perRequest), unit: 'us' },
    { metric: 'CPU of the server per event', value: cpuMicros / accepted, unit: 'us' },
    ...(appends === 0 ? [] : [{ metric: 'events per append', value: accepted / appends, unit: 'events' }]),
    { metric: 'memory of the server', value: after.rssBytes / 1e6, unit: 'MB' },
  ]
}

/** The same bodies without HTTP, judging or packing: read only, and read and put on the synced log as they are. */
async function floors(perRequest: number): Promise<readonly Figure[]> {
  const bodies = Array.from({ length: 2000 }, (_, body) =>
    Buffer.from(JSON.stringify(events(body, perRequest))),
  )
  const directory = temporary()
  const log = await openEmbeddedLog({ directory })
  try {
    await log.ensureTopic({ name: 'floor', partitions: 1, retentionMs: null })
    const tape = new JsonTape()
    const read = (): void => {
      for (const body of bodies) if (tape.read(body) !== null) throw new Error('not JSON')
    }
    const readAndAppend = async (): Promise<void> => {
      for (let from = 0; from < bodies.length; from += 32) {
        const group = bodies.slice(from, from + 32)
        for (const body of group) tape.read(body)
        const outcomes = await log.append('floor', [{ partition: 0, value: Buffer.concat(group) }])
        if (outcomes.some(({ kind }) => kind !== 'appended')) throw new Error('the log failed')
      }
    }
    const parse = (): void => {
      for (const body of bodies) JSON.parse(body.toString())
    }
    const perSecond = async (work: () => void | Promise<void>): Promise<number> => {
      await work()
      const startedMs = performance.now()
      let rounds = 0
      do {
        await work()
        rounds++
      } while (performance.now() - startedMs < 2000)
      return (rounds * bodies.length * perRequest * 1000) / (performance.now() - startedMs)
    }
    const name = `${perRequest}/request, floor`
    return [
      { metric: `${name}: JSON.parse`, value: await perSecond(parse), unit: 'events/s' },
      { metric: `${name}: parse`, value: await perSecond(read), unit: 'events/s' },
      { metric: `${name}: parse and append`, value: await perSecond(readAndAppend), unit: 'events/s' },
    ]
  } finally {
    await log.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

function events(body: number, count: number): readonly unknown[] {
  return Array.from({ length: count }, (_, i) => ({
    specversion: '1.0',
    source: '/gateway/eu-1',
    type: 'llm.request',
    id: `${body}-${i}`,
    time: new Date().toISOString(),
    subject: `customer-${i}`,
    data: { model: 'gpt-4o', input_tokens: 300 + i, output_tokens: 20 + i },
  }))
}

if (process.argv[2] === 'serve') {
  const [kind, where = ''] = process.argv.slice(3)
  if (kind === 'bare') await serveBare()
  else await serveIngest(kind === 'kafka' ? await openKafka(where) : await openEmbedded(where), API_KEY)
}

function openEmbedded(directory: string): Promise<EventLog> {
  return openEmbeddedLog({ directory: join(directory, 'log') })
}

/** One replica, so that the topic is made to be synced before it acknowledges. */
function openKafka(brokers: string): Promise<EventLog> {
  return connectKafkaLog({ brokers: brokers.split(','), clientId: 'bench', replicationFactor: 1 })
}
