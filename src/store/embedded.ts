import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClickHouseClient, createClient } from '@clickhouse/client'
import type { ChdbConnection } from 'chdb/connection'
import pLimit from 'p-limit'
import {
  type BinaryRows,
  type Lane,
  type SqlParams,
  StoreError,
  type UsageStore,
} from '../aggregate/ports.ts'
import { failureOf } from './failure.ts'
import { columnNames } from './server.ts'
import { INSERT_SETTINGS, withReadSettings } from './settings.ts'

const LANES: readonly Lane[] = ['write', 'read', 'background']

interface LaneSession {
  readonly client: ClickHouseClient
  /** A session runs one statement at a time, and one that waits would hold a thread of Node's pool meanwhile. */
  readonly oneAtATime: ReturnType<typeof pLimit>
}

/**
 * ClickHouse inside this process, on a data directory that no other process has open. Every lane has a session of
 * its own; statements run on Node's thread pool, never on the event loop.
 */
export async function openEmbedded(directory: string): Promise<UsageStore> {
  const { createChdbConnection } = await importChdb()
  await mkdir(directory, { recursive: true })
  const sessions = new Map<Lane, LaneSession>()
  for (const lane of LANES) {
    try {
      const client = createClient({ connection: connectionOf(createChdbConnection({ path: directory })) })
      sessions.set(lane, { client, oneAtATime: pLimit(1) })
    } catch (error) {
      await Promise.all([...sessions.values()].map(({ client }) => client.close()))
      throw openFailure(directory, error)
    }
  }
  const scratch = mkdtempSync(join(scratchParent(), 'tallyman-rows-'))
  if (!/^[\w./-]+$/.test(scratch)) {
    throw new StoreError('unavailable', `The temporary directory ${scratch} must have a plain name.`, {
      retryable: false,
    })
  }
  return createEmbeddedStore(sessions, scratch)
}

type ClientConnection = NonNullable<NonNullable<Parameters<typeof createClient>[0]>['connection']>

/** The client and chdb carry a copy each of the same declarations, which the compiler keeps apart. */
function connectionOf(connection: ChdbConnection): ClientConnection {
  return connection as unknown as ClientConnection
}

function createEmbeddedStore(sessions: ReadonlyMap<Lane, LaneSession>, scratch: string): UsageStore {
  let closed = false
  const run = <T>(lane: Lane, task: (client: ClickHouseClient) => Promise<T>): Promise<T> => {
    const session = sessions.get(lane)
    if (closed || session === undefined) {
      return Promise.reject(new StoreError('closed', 'The usage store is closed.', { retryable: false }))
    }
    return session.oneAtATime(async () => {
      try {
        return await task(session.client)
      } catch (error) {
        throw failureOf(error)
      }
    })
  }
  const ask = async <Row>(client: ClickHouseClient, sql: string, params: SqlParams, lane: Lane) => {
    const answer = await client.query({
      query: withReadSettings(sql, lane),
      query_params: params,
      format: 'JSONEachRow',
    })
    return answer.json<Row>()
  }
  let files = 0

  /** Rows in parts that inserts have made since a block number. The engine reports no count for `INSERT … SELECT`. */
  const inserted = async (client: ClickHouseClient, table: string, since: string) => {
    const [row] = await ask<{ rows: string; last: string }>(
      client,
      `SELECT sumIf(rows, min_block_number > {since:Int64}) AS rows, max(max_block_number) AS last
       FROM system.parts WHERE database = currentDatabase() AND table = {table:String} AND level = 0`,
      { table, since },
      'write',
    )
    return row ?? { rows: '0', last: '0' }
  }

  const insert = async (client: ClickHouseClient, rows: BinaryRows): Promise<void> => {
    const path = join(scratch, `${(files++).toString()}.bin`)
    try {
      await writeChunks(path, rows.chunks)
      const structure = rows.columns
        .map(([name, type]) => `${name} ${type.replaceAll("'", "\\'")}`)
        .join(', ')
      const before = await inserted(client, rows.table, '0')
      await client.command({
        query: `INSERT INTO ${rows.table} (${columnNames(rows)}) SETTINGS ${INSERT_SETTINGS}
                SELECT * FROM file('${path}', 'RowBinary', '${structure}')`,
      })
      const after = await inserted(client, rows.table, before.last)
      if (Number(after.rows) !== rows.rows) {
        throw new StoreError('rowsLost', `${rows.table}: ${rows.rows} rows given, ${after.rows} written`, {
          retryable: true,
        })
      }
    } finally {
      await rm(path, { force: true })
    }
  }

  return {
    kind: 'embedded',
    query: <Row>(sql: string, params: SqlParams = {}, lane: Lane = 'read') =>
      run(lane, (client) => ask<Row>(client, sql, params, lane)),
    command: (sql, params = {}, lane = 'background') =>
      run(lane, async (client) => {
        await client.command({ query: sql, query_params: params })
      }),
    insert: (rows) => run('write', (client) => insert(client, rows)),
    close: async () => {
      if (closed) return
      closed = true
      // Closing under a running statement would abort the engine for the whole process.
      for (const { client, oneAtATime } of sessions.values()) await oneAtATime(() => client.close())
      rmSync(scratch, { recursive: true, force: true })
    },
  }
}

async function writeChunks(path: string, chunks: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writev([...chunks])
  } finally {
    await file.close()
  }
}

/** Memory-backed where there is such a place: the file lives for one insert and needs no disk. */
function scratchParent(): string {
  try {
    accessSync('/dev/shm', constants.W_OK)
    return '/dev/shm'
  } catch {
    return tmpdir()
  }
}

async function importChdb(): Promise<typeof import('chdb/connection')> {
  try {
    return await import('chdb/connection')
  } catch (error) {
    throw new StoreError(
      'notInstalled',
      `ClickHouse in this process needs the optional package chdb, which is not installed for ${process.platform}-${process.arch}. Install it (npm install --include=optional) or set CLICKHOUSE_URL to a server.`,
      { retryable: false, cause: error },
    )
  }
}

/** The engine keeps who holds the directory in its file `status`. */
function openFailure(directory: string, error: unknown): StoreError {
  const status = join(directory, 'status')
  const holder = existsSync(status) ? /PID: (\d+)/.exec(readFileSync(status, 'utf8'))?.[1] : undefined
  const other = holder !== undefined && holder !== String(process.pid) && isRunning(Number(holder))
  return other
    ? new StoreError(
        'locked',
        `The usage data in ${directory} is open in process ${holder}. Only one process can have it: stop that one, or use another data directory.`,
        { retryable: false, cause: error },
      )
    : new StoreError(
        'unavailable',
        `ClickHouse cannot open ${directory}: ${error instanceof Error ? error.message : String(error)}`,
        { retryable: false, cause: error },
      )
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
