import { join } from 'node:path'
import type { Config } from '../config.ts'
import { openDatabase } from '../database/database.ts'
import { migrateDatabase, migrationStatus as databaseStates } from '../database/migrations.ts'
import { applyMigrations, migrationStates, readMigrations } from '../store/migrations.ts'
import { connectUsageStore } from '../store/usage-store.ts'
import { prepareDataDirectory } from './data-directory.ts'
import { startFailureOf } from './start-failure.ts'

export interface MigrationRow {
  /** `postgres` or `clickhouse`. */
  readonly store: string
  readonly name: string
  /** RFC 3339; null while it is pending. */
  readonly appliedAt: string | null
}

/** Applies what is pending in both stores and answers what it applied. @throws StartFailure */
export async function migrateUp(config: Config): Promise<readonly MigrationRow[]> {
  const before = new Set((await migrationStatus(config)).filter(isApplied).map(nameOf))
  await withStores(config, async (database, store) => {
    await migrateDatabase(database)
    await applyMigrations(store, readMigrations())
  })
  return (await migrationStatus(config)).filter((row) => isApplied(row) && !before.has(nameOf(row)))
}

/** Every known migration of both stores, and when it was applied. @throws StartFailure */
export async function migrationStatus(config: Config): Promise<readonly MigrationRow[]> {
  return withStores(config, async (database, store) => [
    ...(await databaseStates(database)).map(({ name, appliedAt }) => ({
      store: 'postgres',
      name,
      appliedAt: appliedAt?.toISOString() ?? null,
    })),
    ...(await migrationStates(store)).map((state) => ({ store: 'clickhouse', ...state })),
  ])
}

function isApplied({ appliedAt }: MigrationRow): boolean {
  return appliedAt !== null
}

function nameOf({ store, name }: MigrationRow): string {
  return `${store}/${name}`
}

type Database = Awaited<ReturnType<typeof openDatabase>>
type Store = Awaited<ReturnType<typeof connectUsageStore>>

async function withStores<T>(
  config: Config,
  task: (database: Database, store: Store) => Promise<T>,
): Promise<T> {
  const directory = prepareDataDirectory(config.dataDir)
  const { url: databaseUrl } = config.database
  const { url: storeUrl } = config.clickhouse
  try {
    const database = await openDatabase(
      databaseUrl === null
        ? { kind: 'embedded', directory: join(directory, 'postgres') }
        : { kind: 'url', url: databaseUrl },
    )
    try {
      const store = await connectUsageStore(
        storeUrl === null
          ? { kind: 'embedded', directory: join(directory, 'clickhouse') }
          : { kind: 'url', url: storeUrl },
      )
      try {
        return await task(database, store)
      } finally {
        await store.close()
      }
    } finally {
      await database.stop()
    }
  } catch (error) {
    throw startFailureOf(error, directory)
  }
}
