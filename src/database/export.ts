import { createReadStream, createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { StringDecoder } from 'node:string_decoder'
import { createGunzip, createGzip } from 'node:zlib'
import { CompiledQuery, type Kysely } from 'kysely'
import type { Database } from './database.ts'
import { DatabaseError } from './database-error.ts'
import type { Schema } from './schema.ts'

const PAGE_ROWS = 500
/** Of one insert; invoices and ledgers have large rows. */
const PAGE_BYTES = 8 * 1024 * 1024
/** The migrations' own table: a restored database has its own. */
const MIGRATIONS = 'schema_migrations'

interface ExportedRows {
  readonly table: string
  readonly rows: string
}

export interface DatabaseExport {
  readonly tables: readonly ExportedRows[]
  /** The last number that each sequence gave. Not part of the snapshot, so never behind it. */
  readonly sequences: readonly { readonly name: string; readonly last: string }[]
}

export interface DatabaseExportOptions {
  readonly database: Pick<Database, 'db'>
  /** Exists and is empty. */
  readonly directory: string
  readonly signal: AbortSignal
  readonly onStep: (text: string) => void
}

/**
 * Writes every table as it is in one snapshot, a JSON object a line, as PostgreSQL itself prints the row: numerics
 * with all their digits, times with their microseconds. Transactions go on meanwhile. The files are not yet synced.
 */
export async function exportDatabase(options: DatabaseExportOptions): Promise<DatabaseExport> {
  const { database, directory, signal, onStep } = options
  return database.db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (snapshot) => {
      const tables: ExportedRows[] = []
      for (const table of await tablesOf(snapshot)) {
        signal.throwIfAborted()
        onStep(`database: ${table}`)
        let rows = 0n
        const lines = async function* (): AsyncGenerator<string> {
          for await (const page of pagesOf(snapshot, table)) {
            rows += BigInt(page.length)
            yield page.map((line) => `${line}\n`).join('')
          }
        }
        const file = createWriteStream(join(directory, fileOf(table)), { flags: 'wx', mode: 0o600 })
        await pipeline(Readable.from(lines()), createGzip(), file, { signal })
        tables.push({ table, rows: rows.toString() })
      }
      const sequences = await run<{ name: string; last: string }>(
        snapshot,
        `select sequencename as name, last_value::text as last from pg_sequences
         where schemaname = current_schema() and last_value is not null order by 1`,
      )
      return { tables, sequences }
    })
}

/**
 * Fills a database that has the schema and nothing else; all or nothing. Triggers and references do not run: the
 * rows were checked when they were written. @throws DatabaseError `restore` when it is not as the export says
 */
export async function importDatabase(
  options: DatabaseExportOptions,
  expected: DatabaseExport,
): Promise<void> {
  const { database, directory, signal, onStep } = options
  await database.db.transaction().execute(async (transaction) => {
    await run(transaction, 'set local session_replication_role = replica')
    const known = await tablesOf(transaction)
    for (const { table, rows } of expected.tables) {
      if (!known.includes(table)) throw notAsExported(`the schema has no table ${table}`)
      signal.throwIfAborted()
      onStep(`database: ${table}`)
      await run(transaction, `delete from ${quoted(table)}`) // what a migration put there is in the export too
      const written = await fill(transaction, table, join(directory, fileOf(table)))
      if (written !== BigInt(rows)) throw notAsExported(`${table} has ${written} rows instead of ${rows}`)
    }
    for (const { name, last } of expected.sequences) {
      await run(transaction, 'select setval($1::regclass, $2::bigint)', [quoted(name), last])
    }
  })
}

async function fill(transaction: Kysely<Schema>, table: string, path: string): Promise<bigint> {
  const columns = (await columnsOf(transaction, table)).map(quoted).join(', ')
  const insert = `insert into ${quoted(table)} (${columns}) overriding system value
    select ${columns} from json_populate_recordset(null::${quoted(table)}, $1::json)`
  let page: string[] = []
  let written = 0n
  const flush = async (): Promise<void> => {
    if (page.length === 0) return
    await run(transaction, insert, [`[${page.join(',')}]`])
    written += BigInt(page.length)
    page = []
  }
  let bytes = 0
  await pipeline(createReadStream(path), createGunzip(), async (unpacked: AsyncIterable<Buffer>) => {
    for await (const line of linesOf(unpacked)) {
      page.push(line)
      bytes += line.length
      if (page.length < PAGE_ROWS && bytes < PAGE_BYTES) continue
      await flush()
      bytes = 0
    }
  })
  await flush()
  return written
}

/** By line feeds alone: `node:readline` also breaks at U+2028, which stands in JSON as it is. */
async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + decoder.write(chunk)).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}

async function* pagesOf(snapshot: Kysely<Schema>, table: string): AsyncGenerator<readonly string[]> {
  await run(
    snapshot,
    `declare exported no scroll cursor for select row_to_json(t)::text as line from ${quoted(table)} t`,
  )
  for (;;) {
    const page = await run<{ line: string }>(snapshot, `fetch ${PAGE_ROWS} from exported`)
    if (page.length === 0) break
    yield page.map(({ line }) => line)
  }
  await run(snapshot, 'close exported')
}

async function tablesOf(connection: Kysely<Schema>): Promise<readonly string[]> {
  const rows = await run<{ name: string }>(
    connection,
    'select tablename as name from pg_tables where schemaname = current_schema() order by 1',
  )
  return rows.map(({ name }) => name).filter((name) => name !== MIGRATIONS)
}

/** Of columns that are computed from others, PostgreSQL takes no value. */
async function columnsOf(connection: Kysely<Schema>, table: string): Promise<readonly string[]> {
  const rows = await run<{ name: string }>(
    connection,
    `select attname as name from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum`,
    [quoted(table)],
  )
  return rows.map(({ name }) => name)
}

function fileOf(table: string): string {
  if (!/^[a-z][a-z0-9_]*$/.test(table)) throw new RangeError(`not a table of ours: ${table}`)
  return `${table}.ndjson.gz`
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function notAsExported(what: string): DatabaseError {
  return new DatabaseError('restore', `The database cannot be restored from this backup: ${what}.`)
}

async function run<Row>(
  connection: Kysely<Schema>,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<readonly Row[]> {
  const answer = await connection.executeQuery<Row>(CompiledQuery.raw(sql, [...parameters]))
  return answer.rows
}
