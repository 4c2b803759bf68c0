import { mkdtempSync, rmSync } from 'node:fs'
import { writeFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import * as zlib from 'node:zlib'
import { type ChdbResult, Session } from 'chdb'
import {
  isReadOnly,
  parseStatementRequest,
  readingRowsFrom,
  type StatementRequest,
} from './clickhouse-server-request.ts'

/**
 * The HTTP protocol of ClickHouse before the embedded engine: node clickhouse-server-process.ts <directory> <port>.
 * It knows what `@clickhouse/client` speaks. No replication, no Keeper, no users, no sessions, no cancelling.
 */
const directory = process.argv[2] ?? ''
const port = Number(process.argv[3])
const SESSIONS = 8
const scratch = mkdtempSync(join(tmpdir(), 'clickhouse-rows-'))
let files = 0

/** Each runs one statement at a time. */
const idle = Array.from({ length: SESSIONS }, () => new Session(directory))
const waiting: ((session: Session) => void)[] = []
const version = idle[0]?.query('SELECT version()', 'TabSeparated').trim() ?? ''

async function withSession<T>(task: (session: Session) => Promise<T>): Promise<T> {
  const session = idle.pop() ?? (await new Promise<Session>((resolve) => waiting.push(resolve)))
  try {
    return await task(session)
  } finally {
    const next = waiting.shift()
    if (next === undefined) idle.push(session)
    else next(session)
  }
}

/** Settings of one statement: a session would keep them. */
async function withSettings<T>(
  session: Session,
  { settings, database }: StatementRequest,
  task: () => Promise<T>,
): Promise<T> {
  const quoted = (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  for (const [name] of settings)
    if (!/^\w+$/.test(name))
      throw new Error(`Code: 115. DB::Exception: Unknown setting ${name}. (UNKNOWN_SETTING)`)
  if (database !== null && !/^\w+$/.test(database))
    throw new Error(`Code: 81. DB::Exception: Database ${database} does not exist. (UNKNOWN_DATABASE)`)
  const done: string[] = []
  try {
    if (database !== null) await session.queryAsync(`USE ${database}`)
    for (const [name, value] of settings) {
      await session.queryAsync(`SET ${name} = ${quoted(value)}`)
      done.push(name)
    }
    return await task()
  } finally {
    for (const name of done) await session.queryAsync(`SET ${name} = DEFAULT`)
    if (database !== null) await session.queryAsync('USE default')
  }
}

async function execute(request: StatementRequest): Promise<ChdbResult> {
  const run = (session: Session, sql: string): Promise<ChdbResult> => {
    const options = { format: request.format }
    return Object.keys(request.params).length === 0
      ? session.queryAsync(sql, options)
      : session.queryBindAsync(sql, request.params, options)
  }
  return withSession((session) =>
    withSettings(session, request, async () => {
      if (request.rows === null) return run(session, request.sql)
      const path = join(scratch, `${files++}.bin`)
      await writeFile(path, request.rows)
      try {
        return await run(session, readingRowsFrom(request.sql, path))
      } finally {
        await rm(path)
      }
    }),
  )
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1')
  if (url.pathname === '/ping') {
    response.end('Ok.\n')
    return
  }
  const body = decompress(await buffer(request), request.headers['content-encoding'])
  const statement = parseStatementRequest(url, body)
  response.setHeader('X-ClickHouse-Server-Display-Name', 'tallyman-test')
  response.setHeader('X-ClickHouse-Query-Id', statement.queryId)
  try {
    if (request.method === 'GET' && !isReadOnly(statement.sql)) {
      throw new Error(
        'Code: 164. DB::Exception: Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. (READONLY)',
      )
    }
    const result = await execute(statement)
    const written = statement.rows === null ? 0 : result.rowsRead
    response.setHeader(
      'X-ClickHouse-Summary',
      JSON.stringify({
        read_rows: String(result.rowsRead),
        read_bytes: String(result.bytesRead),
        written_rows: String(written),
        written_bytes: String(statement.rows?.length ?? 0),
        result_rows: String(result.rowsRead),
        elapsed_ns: String(Math.round(result.elapsed * 1e9)),
      }),
    )
    send(request, response, url, Buffer.from(result.bytes()))
  } catch (error) {
    refuse(response, error)
  }
}

/** Statuses by the server's `exceptionCodeToHTTPStatus`; what is not listed is a 500. */
const STATUS: Readonly<Record<string, number>> = {
  36: 400,
  38: 400,
  41: 400,
  43: 400,
  46: 404,
  47: 404,
  53: 400,
  57: 400,
  60: 404,
  62: 400,
  73: 404,
  81: 404,
  115: 404,
  159: 408,
  160: 408,
  164: 500,
  241: 500,
  243: 500,
  456: 400,
  457: 400,
}

function refuse(response: ServerResponse, error: unknown): void {
  const text = error instanceof Error ? error.message : String(error)
  const code = /^Code: (\d+)\./.exec(text)?.[1] ?? '1002'
  response.statusCode = STATUS[code] ?? 500
  response.setHeader('X-ClickHouse-Exception-Code', code)
  response.setHeader('Content-Type', 'text/plain; charset=UTF-8')
  response.end(
    `${code === '1002' ? `Code: 1002. DB::Exception: ${text} (UNKNOWN_EXCEPTION)` : text} (version ${version})\n`,
  )
}

function decompress(body: Buffer, encoding: string | undefined): Buffer {
  switch (encoding) {
    case undefined:
      return body
    case 'gzip':
      return zlib.gunzipSync(body)
    case 'deflate':
      return zlib.inflateSync(body)
    case 'br':
      return zlib.brotliDecompressSync(body)
    case 'zstd':
      return zlib.zstdDecompressSync(body)
    default:
      throw new Error(`Code: 48. DB::Exception: Unknown compression method ${encoding}. (NOT_IMPLEMENTED)`)
  }
}

/** Compressed only where the URL allows it and the client can read it, as a server does. */
function send(request: IncomingMessage, response: ServerResponse, url: URL, body: Buffer): void {
  const accepted = request.headers['accept-encoding'] ?? ''
  if (url.searchParams.get('enable_http_compression') === '1') {
    if (/\bgzip\b/.test(accepted)) {
      response.setHeader('Content-Encoding', 'gzip')
      response.end(zlib.gzipSync(body))
      return
    }
    if (/\bzstd\b/.test(accepted)) {
      response.setHeader('Content-Encoding', 'zstd')
      response.end(zlib.zstdCompressSync(body))
      return
    }
  }
  response.end(body)
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => refuse(response, error))
})
server.keepAliveTimeout = 10_000
server.listen(port, '127.0.0.1', () => process.stdout.write('ready\n'))
process.on('SIGTERM', () => {
  rmSync(scratch, { recursive: true, force: true })
  process.exit(0)
})
// Whoever started it is gone: nobody else would stop it.
process.stdin.on('close', () => process.exit(0)).resume()
