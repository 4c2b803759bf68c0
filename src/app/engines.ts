import { join } from 'node:path'
import type { UsageStore } from '../aggregate/ports.ts'
import type { Config } from '../config.ts'
import { type Database, openDatabase } from '../database/database.ts'
import { migrateDatabase } from '../database/migrations.ts'
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts'
import { connectKafkaLog } from '../log/kafka/kafka-log.ts'
import { openUsageStore } from '../store/usage-store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { EventLog, TopicSpec } from '../usage/event-log.ts'
import type { LogMetrics } from '../usage/log-metrics.ts'
import {
  EVENT_PARTITIONS,
  TOPIC_DIRECTORY,
  TOPIC_EVENTS,
  TOPIC_KEY_STATE,
  TOPIC_OBSERVED,
} from '../usage/topics.ts'
import type { Closing } from './closing.ts'

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

/** Opens log, usage store and database, by address or embedded, all at once, and brings schemas and topics up to date. */
export async function openEngines(options: EnginesOptions): Promise<Engines> {
  const { closing } = options
  options.onProgress('opening the log, ClickHouse and PostgreSQL')
  const [log, store, database] = await allOrNone([
    openLog(options).then((opened) => {
      closing.add('log', () => opened.close())
      return opened
    }),
    openStore(options).then((opened) => {
      closing.add('usage store', () => opened.close())
      return opened
    }),
    openControlDatabase(options).then((opened) => {
      closing.add('database', () => opened.stop())
      return opened
    }),
  ])
  for (const topic of topics(options.config.log.retentionDays)) await log.ensureTopic(topic)
  return { log, store, database }
}

/** Waits for all before it fails, so that whatever did open is known and can be closed. */
async function allOrNone<A, B, C>(tasks: readonly [Promise<A>, Promise<B>, Promise<C>]): Promise<[A, B, C]> {
  await Promise.allSettled(tasks)
  return Promise.all(tasks)
}

function openLog({ config, dataDirectory, logger, logMetrics }: EnginesOptions): Promise<EventLog> {
  const { brokers, clientId, replicationFactor } = config.kafka
  return brokers === null
    ? openEmbeddedLog({ directory: join(dataDirectory, 'log'), metrics: logMetrics, logger })
    : connectKafkaLog({ brokers, clientId, replicationFactor, metrics: logMetrics, logger })
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
