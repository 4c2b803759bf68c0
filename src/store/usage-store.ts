import { ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { type StageLogger, StoreError, type UsageStore } from '../aggregate/ports.ts'
import { openEmbedded } from './embedded.ts'
import { failureOf } from './failure.ts'
import { applyMigrations, readMigrations } from './migrations.ts'
import { createServerStore } from './server.ts'

export type UsageStoreOptions = {
  /** Where the numbered `.sql` files lie; the repository's `schemas/clickhouse` when absent. */
  readonly migrationsDirectory?: string
  readonly logger?: StageLogger
} & (
  | { readonly kind: 'url'; readonly url: string }
  | {
      readonly kind: 'embedded'
      /** Owned by one process at a time. */
      readonly directory: string
    }
)

/**
 * Opens ClickHouse, a server or the engine in this process, and brings its tables up to date.
 * @throws StoreError that says what to do
 */
export async function openUsageStore(options: UsageStoreOptions): Promise<UsageStore> {
  const store = await connectUsageStore(options)
  try {
    const applied = await applyMigrations(store, readMigrations(options.migrationsDirectory))
    if (applied.length > 0) options.logger?.info({ migrations: applied }, 'usage store migrated')
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Opens ClickHouse as it is; nothing is migrated. @throws StoreError */
export function connectUsageStore(options: UsageStoreOptions): Promise<UsageStore> {
  return options.kind === 'url' ? openServer(options.url) : openEmbedded(options.directory)
}

async function openServer(url: string): Promise<UsageStore> {
  const client = createClient({
    url,
    application: 'tallyman',
    request_timeout: 300_000,
    // Every failure is thrown to whoever asked; told to the console besides, it would come twice and with a stack.
    log: { level: ClickHouseLogLevel.OFF },
  })
  const ping = await client.ping({ select: true })
  if (!ping.success) {
    await client.close()
    const failure = failureOf(ping.error)
    throw new StoreError(
      'unavailable',
      `ClickHouse at ${new URL(url).host} does not answer (${failure.message}). Check CLICKHOUSE_URL and the server.`,
      { retryable: true, cause: ping.error },
    )
  }
  return createServerStore(client)
}
