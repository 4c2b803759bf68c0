import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError, type UsageStore } from '../aggregate/ports.ts'
import { INSERT_SETTINGS } from './settings.ts'

/**
 * What a backup has of the usage, in the order in which it is read. Whoever writes these tables writes them the other
 * way round (events, conflicts, marks, journal; conflicts, marks, sweeps), so what is read later holds at least
 * what the earlier refers to: together they are a state that a crash could have left. Rollups are left out: they are a
 * function of the events, and of a journal that has come further than the one that is read here.
 */
const TABLES = ['usage_sweeps', 'usage_journal', 'usage_marks', 'usage_conflicts', 'usage_events'] as const

export interface ExportedTable {
  readonly table: string
  readonly rows: string
}

export interface ExportOptions {
  /** Of the embedded engine, which writes files itself. */
  readonly store: UsageStore
  /** Exists and is empty. */
  readonly directory: string
  readonly signal: AbortSignal
  readonly onStep: (text: string) => void
}

/**
 * Writes the tables as files in ClickHouse's own format, one for every month of a table. Inserts go on meanwhile. The
 * files are not yet synced. @throws StoreError, or the signal's reason
 */
export async function exportUsage(options: ExportOptions): Promise<readonly ExportedTable[]> {
  const { store, directory, signal, onStep } = options
  const exported: ExportedTable[] = []
  for (const table of TABLES) {
    // Read only now: a month that began since would be missing otherwise.
    const months = await store.query<{ month: string }>(
      `SELECT DISTINCT _partition_id AS month FROM ${table} ORDER BY month`,
      {},
      'background',
    )
    let rows = 0n
    if (months.length > 0) await mkdir(join(directory, table), { mode: 0o700 })
    for (const { month } of months) {
      signal.throwIfAborted()
      onStep(`usage: ${table} ${month}`)
      const file = join(directory, table, fileOf(month))
      await store.command(
        `INSERT INTO FUNCTION file({file:String}, 'Native') SELECT * FROM ${table} WHERE _partition_id = {month:String}`,
        { file, month },
      )
      rows += await rowsOf(store, file)
    }
    exported.push({ table, rows: rows.toString() })
  }
  return exported
}

export interface ImportOptions extends ExportOptions {
  /** What the files must come to. */
  readonly expected: readonly ExportedTable[]
  /** Paths of the files below the directory, as the backup lists them. */
  readonly files: readonly string[]
}

/** Writes exported files into the tables of a new store. @throws StoreError `rowsLost` when rows are missing then */
export async function importUsage(options: ImportOptions): Promise<void> {
  const { store, directory, expected, files, signal, onStep } = options
  for (const { table, rows } of expected) {
    if (!TABLES.some((known) => known === table)) throw new RangeError(`${table} is no table of the usage`)
    let written = 0n
    for (const file of files.filter((path) => path.startsWith(`${table}/`))) {
      signal.throwIfAborted()
      onStep(`usage: ${file}`)
      const path = join(directory, file)
      await store.command(
        `INSERT INTO ${table} SETTINGS ${INSERT_SETTINGS} SELECT * FROM file({path:String}, 'Native')`,
        { path },
      )
      written += await rowsOf(store, path)
    }
    const [found] = await store.query<{ rows: string }>(`SELECT count() AS rows FROM ${table}`)
    const isMerged = BigInt(found?.rows ?? 0) <= written && BigInt(found?.rows ?? 0) > 0n
    if (written !== BigInt(rows) || (written > 0n && !isMerged)) {
      throw new StoreError('rowsLost', `${table}: ${rows} rows in the backup, ${found?.rows ?? 0} restored`, {
        retryable: false,
      })
    }
  }
}

/** A partition's name is `all` or a month, and never another text. */
function fileOf(month: string): string {
  if (!/^(all|\d{6})$/.test(month)) throw new RangeError(`not a partition of ours: ${month}`)
  return `${month}.native.zst`
}

async function rowsOf(store: UsageStore, file: string): Promise<bigint> {
  const [row] = await store.query<{ rows: string }>(
    "SELECT count() AS rows FROM file({file:String}, 'Native')",
    { file },
    'background',
  )
  return BigInt(row?.rows ?? 0)
}

/** Which ClickHouse this is, and what its tables are made of, for a comparison with another one. */
export async function describeUsageStore(store: UsageStore): Promise<{
  readonly version: string
  readonly schema: readonly { readonly name: string; readonly checksum: string }[]
}> {
  const [row] = await store.query<{ version: string }>('SELECT version() AS version')
  const schema = await store.query<{ name: string; checksum: string }>(
    'SELECT name, checksum FROM schema_migrations FINAL ORDER BY number',
  )
  return { version: row?.version ?? 'unknown', schema }
}
