import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import { Pool, type PoolConfig } from 'pg'
import { EMBEDDED_USER } from './cluster.ts'
import { columnTypes } from './column-types.ts'
import { DatabaseError } from './database-error.ts'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import type { Schema } from './schema.ts'

export type DatabaseOptions =
  | {
      readonly kind: 'url'
      /** `postgresql://user:password@host:5432/name?sslmode=…` */
      readonly url: string
      readonly connectionsMax?: number
    }
  | {
      readonly kind: 'embedded'
      /** Its own folder; made where it is not there. */
      readonly directory: string
      readonly connectionsMax?: number
      /** Told once when the server ends although nobody stopped it. */
      readonly onLost?: (error: DatabaseError) => void
    }

/** The control plane's database, open. Queries go through `db`. */
export interface Database {
  readonly kind: 'url' | 'embedded'
  readonly db: Kysely<Schema>
  /** @throws DatabaseError `unreachable` */
  ping(): Promise<void>
  /** Of the server, as it tells it: `18.4`. */
  version(): Promise<string>
  /** Waits for running queries, closes connections, and stops the server where it is ours. */
  stop(): Promise<void>
}

const CONNECTIONS_MAX = 10
const CONNECT_MS_MAX = 10_000
/** PostgreSQL 15 and newer have what the schema uses. */
const SERVER_VERSION_MIN = 150_000

/** Opens the database and proves that it answers. @throws DatabaseError */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  switch (options.kind) {
    case 'url':
      return connect('url', withUrl(options.url), options.connectionsMax, async () => undefined)
    case 'embedded': {
      const server = await startEmbeddedPostgres(options.directory)
      if (options.onLost !== undefined) void server.lost.then(options.onLost)
      try {
        const address: PoolConfig = {
          host: server.socketDirectory,
          user: EMBEDDED_USER,
          database: 'postgres',
        }
        return await connect('embedded', address, options.connectionsMax, () => server.stop())
      } catch (error) {
        await server.stop()
        throw error
      }
    }
  }
}

function withUrl(url: string): PoolConfig {
  if (!/^postgres(ql)?:\/\//.test(url)) {
    throw new DatabaseError('unreachable', 'DATABASE_URL must begin with postgresql:// or postgres://.')
  }
  return { connectionString: url }
}

async function connect(
  kind: 'url' | 'embedded',
  address: PoolConfig,
  connectionsMax: number | undefined,
  after: () => Promise<void>,
): Promise<Database> {
  const pool = new Pool({
    ...address,
    max: connectionsMax ?? CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    application_name: 'tallyman',
    types: columnTypes,
    keepAlive: true,
  })
  // An idle connection that breaks is dropped by the pool; the next query opens another or fails by itself.
  pool.on('error', () => undefined)
  // One that breaks between two queries of a transaction has nobody to tell but this; its next query fails by itself.
  pool.on('connect', (client) => client.on('error', () => undefined))
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  const ping = async (): Promise<void> => {
    try {
      await db.executeQuery(CompiledQuery.raw('select 1'))
    } catch (error) {
      throw new DatabaseError('unreachable', `PostgreSQL does not answer: ${reason(error)}`, error)
    }
  }
  try {
    await ping()
    await requireVersion(db)
  } catch (error) {
    await db.destroy()
    throw error
  }
  const version = async (): Promise<string> => {
    const answer = await db.executeQuery<{ version: string }>(
      CompiledQuery.raw(`select current_setting('server_version') as version`),
    )
    return answer.rows[0]?.version ?? 'unknown'
  }
  let stopping: Promise<void> | null = null
  const stop = async (): Promise<void> => {
    await db.destroy()
    await after()
  }
  return { kind, db, ping, version, stop: () => (stopping ??= stop()) }
}

/** Node reports a refused connection to a name with several addresses as an error without words of its own. */
function reason(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reason).join('; ')
  return error instanceof Error ? error.message : String(error)
}

async function requireVersion(db: Kysely<Schema>): Promise<void> {
  const answer = await db.executeQuery<{ version: number }>(
    CompiledQuery.raw(`select current_setting('server_version_num')::int as version`),
  )
  const version = answer.rows[0]?.version ?? 0
  if (version >= SERVER_VERSION_MIN) return
  throw new DatabaseError(
    'unsupportedServer',
    `PostgreSQL ${Math.floor(version / 10_000)} is too old; Tallyman needs ${SERVER_VERSION_MIN / 10_000} or newer.`,
  )
}
