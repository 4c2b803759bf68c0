import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { StoreError, type UsageStore } from '../aggregate/ports.ts'

export interface Migration {
  readonly number: number
  readonly name: string
  readonly checksum: string
  readonly statements: readonly string[]
}

const SHIPPED = fileURLToPath(new URL('../../schemas/clickhouse', import.meta.url))

/** The numbered files of a directory, in order, without holes. */
export function readMigrations(directory: string = SHIPPED): readonly Migration[] {
  const files = readdirSync(directory)
    .filter((file) => file.endsWith('.sql'))
    .sort()
  return files.map((file, i) => {
    const number = Number(/^(\d{4})_\w+\.sql$/.exec(file)?.[1])
    if (number !== i + 1) throw new RangeError(`${file}: migrations are numbered 0001, 0002, … without holes`)
    const text = readFileSync(join(directory, file), 'utf8')
    return {
      number,
      name: file.slice(0, -'.sql'.length),
      checksum: createHash('sha256').update(text).digest('hex'),
      statements: splitStatements(text),
    }
  })
}

/** Statements end with a semicolon at a line's end; lines that begin with `--` are comments. */
function splitStatements(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('--'))
    .join('\n')
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}

/**
 * Runs what is missing, forward only, and remembers each file's checksum. ClickHouse has no transactional DDL: a
 * migration that was cut off runs again from its start, so its statements must bear that (`IF NOT EXISTS`).
 * @returns the names of those that ran
 * @throws StoreError when a file that ran before has changed, or the store is newer than this program
 */
export async function applyMigrations(
  store: UsageStore,
  migrations: readonly Migration[],
): Promise<readonly string[]> {
  await store.command(
    `CREATE TABLE IF NOT EXISTS schema_migrations (number UInt32, name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
     ENGINE = ReplacingMergeTree ORDER BY number SETTINGS fsync_after_insert = 1, fsync_part_directory = 1`,
  )
  const done = await store.query<{ number: number; name: string; checksum: string }>(
    'SELECT number, name, checksum FROM schema_migrations FINAL ORDER BY number',
  )
  for (const row of done) {
    const ours = migrations[row.number - 1]
    if (ours === undefined) {
      throw new StoreError(
        'newerSchema',
        `The usage store has the migration ${row.name}, which this version does not know. Run the newer version.`,
        { retryable: false },
      )
    }
    if (ours.checksum !== row.checksum) {
      throw new StoreError(
        'migrationChanged',
        `The migration ${row.name} has changed since it ran. Restore the file and write a new migration instead.`,
        { retryable: false },
      )
    }
  }
  const missing = migrations.slice(done.length)
  for (const migration of missing) {
    for (const statement of migration.statements) await store.command(statement)
    await store.command(
      'INSERT INTO schema_migrations (number, name, checksum) SETTINGS async_insert = 0 SELECT {number:UInt32}, {name:String}, {checksum:String}',
      { number: migration.number, name: migration.name, checksum: migration.checksum },
    )
  }
  return missing.map((migration) => migration.name)
}

export interface MigrationState {
  readonly name: string
  /** RFC 3339; null while it is pending. */
  readonly appliedAt: string | null
}

/** Every known migration, in order, and when it ran. */
export async function migrationStates(
  store: UsageStore,
  migrations: readonly Migration[] = readMigrations(),
): Promise<readonly MigrationState[]> {
  const [found] = await store.query<{ present: number }>(
    "SELECT toUInt8(count()) AS present FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'",
  )
  const done =
    found?.present === 1
      ? await store.query<{ name: string; applied_ms: string }>(
          'SELECT name, toUnixTimestamp64Milli(applied_at) AS applied_ms FROM schema_migrations FINAL',
        )
      : []
  const times = new Map(done.map((row) => [row.name, new Date(Number(row.applied_ms)).toISOString()]))
  return migrations.map(({ name }) => ({ name, appliedAt: times.get(name) ?? null }))
}
