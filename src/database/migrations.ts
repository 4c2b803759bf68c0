import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CompiledQuery, type Kysely } from 'kysely'
import type { Database } from './database.ts'
import { DatabaseError } from './database-error.ts'
import type { Schema } from './schema.ts'

/** Where the released files stand; forward-only, and never edited once released. */
const MIGRATIONS_DIRECTORY = fileURLToPath(new URL('../../schemas/postgres/', import.meta.url))

/** Any fixed number: processes that start at once migrate one after another. */
const ADVISORY_LOCK = 7_251_918_830

interface Migration {
  readonly name: string
  readonly checksum: string
  readonly sql: string
}

interface Applied {
  readonly name: string
  readonly checksum: string
  readonly applied_at: Date
}

export interface MigrationState {
  readonly name: string
  readonly appliedAt: Date | null
}

/**
 * Applies the files that the database does not have yet, each in a transaction of its own, and answers their names.
 * @throws DatabaseError `migration` when an applied file was changed or is unknown to this program, or when one fails
 */
export async function migrateDatabase(
  database: Database,
  directory: string = MIGRATIONS_DIRECTORY,
): Promise<readonly string[]> {
  const migrations = readMigrations(directory)
  return database.db.connection().execute(async (connection) => {
    await run(connection, 'select pg_advisory_lock($1)', [ADVISORY_LOCK])
    try {
      await run(
        connection,
        `create table if not exists schema_migrations (
           name text primary key, checksum text not null, applied_at timestamptz not null default now())`,
      )
      const pending = pendingOf(migrations, await readApplied(connection))
      for (const migration of pending) await apply(connection, migration)
      return pending.map((migration) => migration.name)
    } finally {
      await run(connection, 'select pg_advisory_unlock($1)', [ADVISORY_LOCK])
    }
  })
}

/** Every known migration, in order, and when it was applied. @throws DatabaseError `migration` */
export async function migrationStatus(
  database: Database,
  directory: string = MIGRATIONS_DIRECTORY,
): Promise<readonly MigrationState[]> {
  const migrations = readMigrations(directory)
  const found = await run<{ present: boolean }>(
    database.db,
    `select to_regclass('schema_migrations') is not null as present`,
  )
  const applied = found[0]?.present === true ? await readApplied(database.db) : []
  pendingOf(migrations, applied)
  const times = new Map(applied.map((one) => [one.name, one.applied_at]))
  return migrations.map(({ name }) => ({ name, appliedAt: times.get(name) ?? null }))
}

/** What the schema is made of, for a comparison with another one. */
export async function schemaOf(
  database: Pick<Database, 'db'>,
): Promise<readonly { readonly name: string; readonly checksum: string }[]> {
  return (await readApplied(database.db)).map(({ name, checksum }) => ({ name, checksum }))
}

function readMigrations(directory: string): readonly Migration[] {
  return readdirSync(directory)
    .filter((file) => /^\d{4}_[a-z0-9_]+\.sql$/.test(file))
    .sort()
    .map((file) => {
      const sql = readFileSync(join(directory, file), 'utf8')
      return { name: file.slice(0, -4), sql, checksum: createHash('sha256').update(sql).digest('hex') }
    })
}

function pendingOf(migrations: readonly Migration[], applied: readonly Applied[]): readonly Migration[] {
  const known = new Map(migrations.map((migration) => [migration.name, migration]))
  for (const { name, checksum } of applied) {
    const migration = known.get(name)
    if (migration === undefined) {
      throw new DatabaseError(
        'migration',
        `The database has the migration ${name}, which this program does not know: a newer Tallyman has used it. Run that version or newer.`,
      )
    }
    if (migration.checksum !== checksum) {
      throw new DatabaseError(
        'migration',
        `The file of the migration ${name} is not the one that was applied to this database. A released migration is never edited; write a new one.`,
      )
    }
  }
  const names = new Set(applied.map((one) => one.name))
  return migrations.filter((migration) => !names.has(migration.name))
}

async function apply(connection: Kysely<Schema>, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await connection.transaction().execute(async (transaction) => {
      await run(transaction, sql)
      await run(transaction, 'insert into schema_migrations (name, checksum) values ($1, $2)', [
        name,
        checksum,
      ])
    })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new DatabaseError('migration', `The migration ${name} failed and was undone: ${why}`, error)
  }
}

async function readApplied(connection: Kysely<Schema>): Promise<readonly Applied[]> {
  return run<Applied>(connection, 'select name, checksum, applied_at from schema_migrations order by name')
}

async function run<Row>(
  connection: Kysely<Schema>,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<readonly Row[]> {
  const answer = await connection.executeQuery<Row>(CompiledQuery.raw(sql, [...parameters]))
  return answer.rows
}
