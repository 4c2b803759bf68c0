import { hash, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createApi } from '../src/http/api.ts'
import { createEventRoutes } from '../src/http/events.ts'
import type { ApiKeyId, TenantId } from '../src/id/ids.ts'
import { createDirectory } from '../src/ingest/directory.ts'
import { createIngest } from '../src/ingest/ingest.ts'
import { startApiServer } from '../src/app/api-server.ts'
import { createKeyTable } from '../src/provision/key-table.ts'
import { createHttpMetrics } from '../src/telemetry/http.ts'
import { createIngestMetrics } from '../src/telemetry/ingest.ts'
import { createProvisionMetrics } from '../src/telemetry/provision.ts'
import { createRegistry } from '../src/telemetry/registry.ts'
import { instantOf } from '../src/time/instant.ts'
import type { EventLog } from '../src/usage/event-log.ts'
import { EVENT_PARTITIONS, TOPIC_EVENTS } from '../src/usage/topics.ts'

export interface ServerFigures {
  readonly cpuMicros: number
  readonly rssBytes: number
  /** Events that the stage counted as accepted. */
  readonly accepted: number
  readonly appends: number
}

/** Stage 1 as the ingest role puts it together, in this process: keys, limits and metrics on. Talks to its parent. */
export async function serveIngest(log: EventLog, apiKey: string): Promise<void> {
  await log.ensureTopic({ name: TOPIC_EVENTS, partitions: EVENT_PARTITIONS, retentionMs: null })
  const clock = { now: () => instantOf(Date.now()) }
  const registry = createRegistry({ version: 'bench', role: 'ingest' })
  const keys = createKeyTable({
    holders: clock,
    monotonicMs: () => performance.now(),
    metrics: createProvisionMetrics(registry),
  })
  keys.apply({
    kind: 'key',
    version: 1,
    tenant: 'ten_bench' as TenantId,
    keyId: 'key_bench' as ApiKeyId,
    hash: hash('sha256', apiKey, 'base64url'),
    hint: '',
    name: 'bench',
    environment: 'live',
    customer: null,
    subject: null,
    scopes: ['ingest'],
    quotas: [],
    rate: null,
    ipRanges: [],
    createdAt: clock.now(),
    notBefore: null,
    expiresAt: null,
    revokedAt: null,
    causes: [],
    rotatedTo: null,
  })
  const directory = createDirectory(clock)
  const figures = { accepted: 0, appends: 0 }
  const metrics = createIngestMetrics(registry)
  const ingest = createIngest({
    log,
    directory,
    clock,
    metrics: {
      ...metrics,
      requestJudged(counts) {
        figures.accepted += counts.accepted
        metrics.requestJudged(counts)
      },
      appended(append) {
        figures.appends++
        metrics.appended(append)
      },
    },
    config: { requestBytesMax: 5_242_880, requestEventsMax: 1000, queueBytesMax: 67_108_864 },
    onFault: (reason) => console.error('append failed', reason),
  })
  const api = createApi({
    newRequestId: randomUUID,
    onFault: (error) => console.error(error),
    metrics: createHttpMetrics(registry),
  })
  api.route('/', createEventRoutes({ authenticator: keys, ingest, bodyBytesMax: 5_242_880 }))
  const server = await startApiServer({
    host: '127.0.0.1',
    port: 0,
    fetch: (request, env) => api.fetch(request, env),
    headersTimeoutMs: 10_000,
    requestTimeoutMs: 60_000,
  })
  process.on('message', (message) => {
    if (message === 'figures') tellFigures(figures)
    else {
      void (async () => {
        await server.stop(1000)
        await ingest.drain()
        await log.close()
        process.disconnect()
      })()
    }
  })
  process.send?.(server.url)
}

/** The floor of HTTP: reads the body, answers 202 and does nothing else. */
export async function serveBare(): Promise<void> {
  const figures = { accepted: 0, appends: 0 }
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = []
    request.on('data', (chunk: Uint8Array) => chunks.push(chunk))
    request.on('end', () => {
      Buffer.concat(chunks)
      figures.accepted++
      response.writeHead(202, { 'content-type': 'application/json', 'content-length': ANSWER.length })
      response.end(ANSWER)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  process.on('message', (message) => {
    if (message === 'figures') tellFigures(figures)
    else {
      server.closeAllConnections()
      server.close(() => process.disconnect())
    }
  })
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
}

const ANSWER = JSON.stringify({ accepted: 1, duplicates: 0, rejected: [] })

function tellFigures(counts: { readonly accepted: number; readonly appends: number }): void {
  const { user, system } = process.cpuUsage()
  const told: ServerFigures = { cpuMicros: user + system, rssBytes: process.memoryUsage.rss(), ...counts }
  process.send?.(told)
}
