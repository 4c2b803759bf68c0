import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createAggregator } from '../src/aggregate/aggregator.ts'
import { createConflictSweeper } from '../src/aggregate/conflicts.ts'
import { endsOf } from '../src/aggregate/journal.ts'
import { createRoller } from '../src/aggregate/roller.ts'
import { readJournal } from '../src/aggregate/sink.ts'
import type { MeterKey, TenantId } from '../src/id/ids.ts'
import { openEmbeddedLog } from '../src/log/embedded/embedded-log.ts'
import { openUsageStore } from '../src/store/usage-store.ts'
import { createAggregateMetrics } from '../src/telemetry/aggregate.ts'
import { createRegistry } from '../src/telemetry/registry.ts'
import { instantOf } from '../src/time/instant.ts'
import type { Meter } from '../src/usage/meter.ts'
import { EVENT_PARTITIONS, TOPIC_EPOCH, TOPIC_EVENTS, TOPIC_OBSERVED } from '../src/usage/topics.ts'
import { run as runAggregate } from './aggregate.bench.ts'
import type { Figure } from './figure.ts'
import { serveIngest, type ServerFigures } from './ingest-server.ts'

/**
 * HTTP → log → canonical rows → rollups, everything in one process with fsync on, wrk beside it on the same cores.
 * The floor is that of the aggregate bench, measured in the same run: JSON.parse and JSONEachRow, no HTTP, no log.
 */
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 30)
const API_KEY = 'bench-key-of-the-pipeline'
const PER_REQUEST = 100
const CONNECTIONS = 32

interface Drained {
  readonly rows: number
  readonly seconds: number
  /** Freshness of flushes, seconds. */
  readonly freshnessP50: number
  readonly freshnessP99: number
  readonly minutesRolled: number
}

export async function run(): Promise<readonly Figure[]> {
  const floor = (await runAggregate()).find(({ metric }) => metric === 'rows made durable')?.floor ?? 0
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-bench-'))
  const server = fork(import.meta.filename, ['serve', directory])
  try {
    const [url] = (await once(server, 'message')) as [string]
    await load(url, 3, 'warm')
    const before = await ask(server)
    const measured = await load(url, SECONDS, 'run')
    const after = await ask(server)
    const { accepted } = await settled(server)
    server.kill('SIGUSR2')
    const [drained] = (await once(server, 'message')) as [Drained]
    const seconds = measured.micros / 1e6
    const acknowledged = measured.requests * PER_REQUEST
    if (drained.rows !== accepted) throw new Error(`${accepted} accepted, ${drained.rows} rows`)
    return [
      { metric: 'acknowledged', value: acknowledged / seconds, unit: 'events/s', floor },
      { metric: 'time to drain after the load', value: drained.seconds, unit: 's' },
      { metric: 'acknowledgement p50', value: measured.p50 / 1000, unit: 'ms' },
      { metric: 'acknowledgement p99', value: measured.p99 / 1000, unit: 'ms' },
      { metric: 'freshness p50', value: drained.freshnessP50, unit: 's' },
      { metric: 'freshness p99', value: drained.freshnessP99, unit: 's' },
      { metric: 'minutes rolled', value: drained.minutesRolled, unit: 'minutes' },
      {
        metric: 'CPU of the server per event',
        value: (after.cpuMicros - before.cpuMicros) / (after.accepted - before.accepted),
        unit: 'us',
      },
      { metric: 'memory of the server', value: after.rssBytes / 1e6, unit: 'MB' },
    ]
  } finally {
    server.kill('SIGKILL')
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
    rmSync(directory, { recursive: true, force: true })
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

async function load(url: string, seconds: number, prefix: string): Promise<Load> {
  const script = join(import.meta.dirname, 'wrk/events.lua')
  const options = [
    '-t1',
    `-c${CONNECTIONS}`,
    `-d${seconds}s`,
    '--timeout',
    '10s',
    '--latency',
    '-s',
    script,
    url,
  ]
  const { stdout } = await promisify(execFile)('wrk', [
    ...options,
    '--',
    API_KEY,
    String(PER_REQUEST),
    prefix,
  ])
  const line = stdout.split('\n').find((one) => one.startsWith('RESULT '))
  if (line === undefined) throw new Error(`wrk gave no result:\n${stdout}`)
  const result = JSON.parse(line.slice('RESULT '.length)) as Load
  if (result.status > 0) throw new Error(`${result.status} answers were not 2xx`)
  return result
}

async function ask(server: ChildProcess): Promise<ServerFigures> {
  server.send('figures')
  const [told] = (await once(server, 'message')) as [ServerFigures]
  return told
}

/** The figures once the requests that were under way when wrk stopped have been answered. */
async function settled(server: ChildProcess): Promise<ServerFigures> {
  for (let before = await ask(server); ;) {
    await pause(200)
    const now = await ask(server)
    if (now.accepted === before.accepted) return now
    before = now
  }
}

async function serve(directory: string): Promise<void> {
  const log = await openEmbeddedLog({ directory: join(directory, 'log') })
  await log.ensureTopic({ name: TOPIC_EVENTS, partitions: EVENT_PARTITIONS, retentionMs: null })
  await log.ensureTopic({ name: TOPIC_OBSERVED, partitions: 1, retentionMs: null })
  const store = await openUsageStore({ kind: 'embedded', directory: join(directory, 'clickhouse') })
  const clock = { now: () => instantOf(Date.now()) }
  const quiet = (): void => undefined
  const logger = { debug: quiet, info: quiet, warn: console.warn, error: console.error }
  const freshness: number[] = []
  let minutesRolled = 0
  const counted = createAggregateMetrics(createRegistry({ version: 'bench', role: 'all' }))
  const metrics = {
    ...counted,
    freshness: (seconds: number) => void freshness.push(seconds),
    minutesRecomputed: (minutes: number) => void (minutesRolled += minutes),
  }
  const meter: Meter = {
    ...{
      tenant: 'ten_bench' as TenantId,
      key: 'tokens' as MeterKey,
      name: 'tokens',
      eventType: 'llm.request',
    },
    ...{
      aggregation: 'sum',
      valueProperty: 'output_tokens',
      groupBy: { model: 'model' },
      filters: {},
      revision: 1,
    },
  }
  const roller = createRoller({
    ...{ store, clock, metrics, logger, meters: () => [meter] },
    conflicts: createConflictSweeper({ store, metrics, epoch: TOPIC_EPOCH }),
    readJournal: async () => endsOf(await readJournal(store, TOPIC_EPOCH, EVENT_PARTITIONS)),
  })
  const aggregator = createAggregator({
    ...{ log, store, clock, metrics, logger, config: { flushIntervalMs: 1000, flushRowsMax: 150_000 } },
    onFlushed: (marks) => roller.touched(marks),
  })
  await aggregator.start()
  roller.start()
  const drain = async (): Promise<Drained> => {
    const startedMs = performance.now()
    const reached = await aggregator.waitForJournal(await log.endOffsets(TOPIC_EVENTS), 300_000)
    if (!reached) throw new Error('the journal stands still')
    const [row] = await store.query<{ rows: string }>('SELECT count() AS rows FROM usage_events FINAL')
    const sorted = freshness.toSorted((a, b) => a - b)
    const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0
    const seconds = (performance.now() - startedMs) / 1000
    const rows = Number(row?.rows ?? 0)
    return { rows, seconds, freshnessP50: at(0.5), freshnessP99: at(0.99), minutesRolled }
  }
  process.on('SIGUSR2', () => void drain().then((drained) => process.send?.(drained)))
  await serveIngest(log, API_KEY)
}

if (process.argv[2] === 'serve') await serve(process.argv[3] ?? '')
