import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../src/database/embedded-postgres.ts'
import { type ClickHouseServer, startClickHouseServer } from './clickhouse-server.ts'
import { type Kafka, type KafkaOptions, startKafka } from './kafka.ts'
import { freePorts } from './kafka-node.ts'
import { type ServerProcess, startServer } from './server.ts'

export type FleetRole = 'ingest' | 'aggregate' | 'api' | 'provision' | 'invoice' | 'gate'

/** Roles apart on servers: Kafka, ClickHouse behind HTTP, and a PostgreSQL of its own. */
export interface Fleet {
  readonly kafka: Kafka
  readonly clickhouse: ClickHouseServer
  /** Starts a process of a role. One of the same name has the same port and data directory as before. */
  start(role: FleetRole, name?: string): Promise<ServerProcess>
  /** Ends whatever was started, however it stands. */
  stop(): Promise<void>
}

export interface FleetOptions {
  readonly kafka?: KafkaOptions
  /** Where the roles find the brokers, when not at the cluster itself. */
  readonly brokers?: readonly string[]
}

export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const scratch = mkdtempSync(join(tmpdir(), 'tallyman-fleet-'))
  const undo: (() => Promise<unknown>)[] = [async () => rmSync(scratch, { recursive: true, force: true })]
  let isStopped = false
  const stop = async (): Promise<void> => {
    isStopped = true
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
  }
  const opened = <T extends { stop(): Promise<unknown> }>(engine: T): T => {
    undo.push(() => engine.stop())
    return engine
  }
  try {
    // One after the other, so that what is open is known when the next one fails.
    const kafka = opened(await startKafka(options.kafka ?? { nodes: 1 }))
    const clickhouse = opened(await startClickHouseServer())
    const postgres = opened(await startEmbeddedPostgres(join(scratch, 'postgres')))
    const env = {
      KAFKA_BROKERS: (options.brokers ?? kafka.brokers).join(','),
      CLICKHOUSE_URL: clickhouse.url,
      DATABASE_URL: `postgresql://tallyman@localhost/postgres?host=${encodeURIComponent(postgres.socketDirectory)}`,
    }
    const ports = new Map<string, string>()
    return {
      kafka,
      clickhouse,
      async start(role, name = role) {
        const port = ports.get(name) ?? String((await freePorts(1))[0])
        ports.set(name, port)
        const process = await startServer({
          dataDirectory: join(scratch, name),
          env,
          args: ['--role', role, '--port', port],
        })
        undo.push(() => process.kill9())
        if (isStopped) {
          await process.kill9()
          throw new Error(`${name} was ready when the fleet had been stopped`)
        }
        return process
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
