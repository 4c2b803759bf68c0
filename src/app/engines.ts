import { join } from 'node:path'
import type { UsageStore } from '../aggregate/ports.ts'
import type { Config } from '../config.ts'
import { type Database, openDatabase } from '../database/database.ts'
import { migrateDatabase } from '../database/migrations.ts'
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts'
import { openUsageStore } from '../store/usage-store.ts'
import type { Logger } from '../telemetry/logger.ts'
import { type EventLog, LogError, type TopicSpec } from '../usage/event-log.ts'
import type { LogMetrics } from '../usage/log-metrics.ts'
import {
  EVENT_PARTITIONS,
  TOPIC_DIRECTORY,
  TOPIC_EVENTS,
  TOPIC_KEY_STATE,
  TOPIC_OBSERVED,
} from '../usage/topics.ts'
import type { Closing } from './closing.ts'
import { StartFailure } from './start-failure.ts'

export interface Engines {
  readonly log: EventLog
  readonly store: UsageStore
  readonly database: Database
}

export interface EnginesOptions {
  readonly config: Config
  readonly dataDirectory: string
  readonly logger: Logger
  readonly logMetrics: LogMetrics
  readonly closing: Closing
  readonly onProgress: (text: string) => void
  readonly onFatal: (error: Error) => void
}

const DAY_MS = 86_400_000
/** State topics: what is older than this was in every snapshot long ago. */
const STATE_RETENTION_MS = 7 * DAY_MS

function topics(retentionDays: number): readonly TopicSpec[] {
  return [
    { name: TOPIC_EVENTS, partitions: EVENT_PARTITIONS, retentionMs: retentionDays * DAY_MS },
    { name: TOPIC_OBSERVED, partitions: 1, retentionMs: STATE_RETENTION_MS },
    { name: TOPIC_KEY_STATE, partitions: 1, retentionMs: STATE_RETENTION_MS },
    { name: TOPIC_DIRECTORY, partitions: 1, retentionMs: STATE_RETENTION_MS },
  ]
}

type EngineName = keyof Engines
const SETTING: Readonly<Record<EngineName, string>> = {
  log: 'KAFKA_BROKERS',
  store: 'CLICKHOUSE_URL',
  database: 'DATABASE_URL',
}

/**
 * Opens the engines that a role needs, by address or embedded, all at once, and brings schemas and topics up to date.
 * What is open when one of them fails is closed by `closing`.
 * @throws StartFailure for a role of its own that would open an embedded engine: those have one process
 */
export async function openEngines<Name extends EngineName>(
  options: EnginesOptions,
  names: readonly Name[],
): Promise<Pick<Engines, Name>> {
  requireServers(options.config, names)
  options.onProgress(`opening ${names.map((name) => engineText(options.config, name)).join(', ')}`)
  const opened: { -readonly [Key in EngineName]?: Engines[Key] } = {}
  const tasks = names.map(async (name) => {
    switch (name) {
      case 'log':
        opened.log = await openLog(options)
        options.closing.add('log', async () => opened.log?.close())
        for (const topic of topics(options.config.log.retentionDays)) await opened.log.ensureTopic(topic)
        break
      case 'store':
        opened.store = await openStore(options)
        options.closing.add('usage store', async () => opened.store?.close())
        break
      case 'database':
        opened.database = await openControlDatabase(options)
        options.closing.add('database', async () => opened.database?.stop())
    }
  })
  // All are awaited before one fails, so that whatever did open is known and can be closed.
  await Promise.allSettled(tasks)
  await Promise.all(tasks)
  return opened as Pick<Engines, Name>
}

function requireServers(config: Config, names: readonly EngineName[]): void {
  if (config.role === 'all') return
  const embedded = names.filter((name) => addressOf(config, name) === null)
  if (embedded.length === 0) return
  throw new StartFailure(
    `The role ${config.role} runs apart from the others, so its engines must be servers: set ${embedded.map((name) => SETTING[name]).join(' and ')}, or start with --role all.`,
  )
}

function addressOf(config: Config, name: EngineName): string | readonly string[] | null {
  switch (name) {
    case 'log':
      return config.kafka.brokers
    case 'store':
      return config.clickhouse.url
    case 'database':
      return config.database.url
  }
}

function engineText(config: Config, name: EngineName): string {
  const where = addressOf(config, name) === null ? 'embedded' : 'by address'
  const what = { log: 'log', store: 'ClickHouse', database: 'PostgreSQL' }[name]
  return `${what} (${where})`
}

async function openLog({ config, dataDirectory, logger, logMetrics }: EnginesOptions): Promise<EventLog> {
  const { brokers, clientId, replicationFactor } = config.kafka
  if (brokers === null) {
    return openEmbeddedLog({ directory: join(dataDirectory, 'log'), metrics: logMetrics, logger })
  }
  // Loaded by those who use it: most processes on embedded engines never need a Kafka client.
  const { connectKafkaLog } = await import('../log/kafka/kafka-log.ts')
  try {
    return await connectKafkaLog({ brokers, clientId, replicationFactor, metrics: logMetrics, logger })
  } catch (error) {
    if (!(error instanceof LogError) || error.code !== 'unavailable') throw error
    throw new StartFailure(`${error.message}. Check KAFKA_BROKERS and the brokers.`, error)
  }
}

function openStore({ config, dataDirectory, logger }: EnginesOptions): Promise<UsageStore> {
  const { url } = config.clickhouse
  return openUsageStore(
    url === null
      ? { kind: 'embedded', directory: join(dataDirectory, 'clickhouse'), logger }
      : { kind: 'url', url, logger },
  )
}

async function openControlDatabase(options: EnginesOptions): Promise<Database> {
  const { config, dataDirectory, logger, onFatal } = options
  const { url } = config.database
  const database = await openDatabase(
    url === null
      ? { kind: 'embedded', directory: join(dataDirectory, 'postgres'), onLost: onFatal }
      : { kind: 'url', url },
  )
  try {
    const applied = await migrateDatabase(database)
    if (applied.length > 0) logger.info({ migrations: applied }, 'database migrated')
    return database
  } catch (error) {
    await database.stop()
    throw error
  }
}
