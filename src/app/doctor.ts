import { statfsSync } from 'node:fs'
import { join } from 'node:path'
import { StoreError } from '../aggregate/ports.ts'
import type { Config } from '../config.ts'
import { DatabaseError } from '../database/database-error.ts'
import { openDatabase } from '../database/database.ts'
import { inspectBroker } from '../log/kafka/inspect-broker.ts'
import { connectUsageStore } from '../store/usage-store.ts'
import { TOPIC_DIRECTORY, TOPIC_EVENTS, TOPIC_KEY_STATE, TOPIC_OBSERVED } from '../usage/topics.ts'
import { prepareDataDirectory } from './data-directory.ts'

export interface DoctorCheck {
  readonly name: string
  readonly status: 'ok' | 'warning' | 'failed'
  readonly detail: string
}

const TOPICS = [TOPIC_EVENTS, TOPIC_OBSERVED, TOPIC_KEY_STATE, TOPIC_DIRECTORY]
const FREE_BYTES_WARNING = 5 * 1024 ** 3
const NODE_MAJOR_MIN = 24

/** What is reachable, which versions, which settings are unsafe. Changes nothing but the data directory's probe file. */
export async function runDoctor(config: Config): Promise<readonly DoctorCheck[]> {
  return [
    node(),
    await probe('data directory', async () => directory(config)),
    ...(await log(config)),
    await probe('ClickHouse', () => clickhouse(config)),
    await probe('PostgreSQL', () => postgres(config)),
    ...settings(config),
  ]
}

type Found = Omit<DoctorCheck, 'name'>

async function probe(name: string, look: () => Promise<Found>): Promise<DoctorCheck> {
  try {
    return { name, ...(await look()) }
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    return { name, status: isInUse(error) ? 'warning' : 'failed', detail }
  }
}

/** A server that runs has its data directory for itself; /readyz?verbose says how it is. */
function isInUse(error: unknown): boolean {
  return (
    (error instanceof DatabaseError && error.code === 'inUse') ||
    (error instanceof StoreError && error.code === 'locked')
  )
}

function node(): DoctorCheck {
  const major = Number.parseInt(process.versions.node, 10)
  return major >= NODE_MAJOR_MIN
    ? { name: 'Node', status: 'ok', detail: process.version }
    : { name: 'Node', status: 'failed', detail: `${process.version}; ${NODE_MAJOR_MIN} or newer is needed` }
}

function directory(config: Config): Found {
  const path = prepareDataDirectory(config.dataDir)
  const { bavail, bsize } = statfsSync(path)
  const free = bavail * bsize
  const gigabytes = (free / 1024 ** 3).toFixed(1)
  return free < FREE_BYTES_WARNING
    ? { status: 'warning', detail: `${path}: writable, only ${gigabytes} GiB free` }
    : { status: 'ok', detail: `${path}: writable and synced, ${gigabytes} GiB free` }
}

async function log(config: Config): Promise<readonly DoctorCheck[]> {
  const { brokers, clientId, replicationFactor } = config.kafka
  if (brokers === null) {
    return [{ name: 'log', status: 'ok', detail: 'embedded, synced to disk before every answer' }]
  }
  try {
    return await inspectBroker({ brokers, clientId, replicationFactor, topics: TOPICS })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return [{ name: 'Kafka', status: 'failed', detail: `${brokers.join(', ')} does not answer: ${reason}` }]
  }
}

async function clickhouse(config: Config): Promise<Found> {
  const { url } = config.clickhouse
  const store = await connectUsageStore(
    url === null ? { kind: 'embedded', directory: join(config.dataDir, 'clickhouse') } : { kind: 'url', url },
  )
  try {
    const [row] = await store.query<{ version: string }>('SELECT version() AS version')
    return { status: 'ok', detail: `${row?.version ?? 'unknown version'}, ${store.kind}` }
  } finally {
    await store.close()
  }
}

async function postgres(config: Config): Promise<Found> {
  const { url } = config.database
  const database = await openDatabase(
    url === null ? { kind: 'embedded', directory: join(config.dataDir, 'postgres') } : { kind: 'url', url },
  )
  try {
    const version = await database.version()
    return { status: 'ok', detail: `${version}, ${database.kind === 'url' ? 'server' : 'embedded'}` }
  } finally {
    await database.stop()
  }
}

/** Settings of ours that are allowed and not safe. */
function settings(config: Config): readonly DoctorCheck[] {
  const exposed = [
    ...(isLoopback(config.host) ? [] : [`the API on ${config.host}`]),
    ...(isLoopback(config.metricsHost) ? [] : [`the metrics on ${config.metricsHost}`]),
  ]
  return [
    exposed.length === 0
      ? { name: 'listening', status: 'ok', detail: 'on loopback only' }
      : {
          name: 'listening',
          status: 'warning',
          detail: `${exposed.join(', ')}: put TLS and a firewall in front`,
        },
  ]
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
