import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@clickhouse/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BinaryRows, StoreError, type UsageStore } from '../../src/aggregate/ports.ts'
import { RowWriter } from '../../src/aggregate/row-binary.ts'
import { connectUsageStore } from '../../src/store/usage-store.ts'
import { type ClickHouseServer, startClickHouseServer } from '../support/clickhouse-server.ts'

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-stores-'))
let server: ClickHouseServer
beforeAll(async () => {
  server = await startClickHouseServer()
})
afterAll(async () => {
  await server.stop()
  rmSync(scratch, { recursive: true, force: true })
})

/** Rows 0 to `count`, in pieces that end in the middle of rows. */
function numbers(table: string, count: number, claimed = count): BinaryRows {
  const writer = new RowWriter()
  for (let i = 0; i < count; i++) {
    writer.reserve(16)
    writer.int64(i)
    writer.uint16(i % 7)
    writer.endRow()
  }
  const bytes = Buffer.concat([...writer.chunks()])
  const cut = Math.floor(bytes.length / 2) + 3
  return {
    table,
    columns: [
      ['n', 'UInt64'],
      ['seventh', 'UInt16'],
    ],
    chunks: [bytes.subarray(0, cut), bytes.subarray(cut)],
    rows: claimed,
  }
}

async function failureOf(
  task: Promise<unknown>,
): Promise<Pick<StoreError, 'code' | 'retryable' | 'message'>> {
  const error: unknown = await task.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof StoreError)) throw new Error(`no StoreError: ${String(error)}`)
  return { code: error.code, retryable: error.retryable, message: error.message }
}

const CREATE = (table: string): string =>
  `CREATE TABLE ${table} (n UInt64, seventh UInt16) ENGINE = MergeTree ORDER BY n`

describe.each(['embedded', 'server'] as const)('the usage store, %s', (kind) => {
  let store: UsageStore
  beforeAll(async () => {
    store = await connectUsageStore(
      kind === 'embedded' ? { kind, directory: join(scratch, 'embedded') } : { kind: 'url', url: server.url },
    )
  })
  afterAll(() => store.close())

  it('says what it is', () => {
    expect(store.kind).toBe(kind)
  })

  it('binds text of any content, arrays and maps', async () => {
    const text = `[it's]\t\\ "quoted"\n\r {a:String} ü 🦜`
    const rows = await store.query(
      'SELECT {text:String} AS text, {texts:Array(String)} AS texts, {ns:Array(UInt32)} AS ns, {map:Map(String, String)} AS map',
      { text, texts: [text, '', "'"], ns: [1, 4_000_000_000], map: { [text]: text } },
    )
    expect(rows).toEqual([{ text, texts: [text, '', "'"], ns: [1, 4_000_000_000], map: { [text]: text } }])
  })

  it('answers 64-bit integers and decimals as text', async () => {
    const rows = await store.query(
      "SELECT toUInt64('18446744073709551615') AS big, toDecimal256('12345678901234567890.123456789', 9) AS exact, 7 AS small",
    )
    expect(rows).toEqual([{ big: '18446744073709551615', exact: '12345678901234567890.123456789', small: 7 }])
  })

  it('inserts rows in binary and knows how many there are', async () => {
    await store.command(CREATE('counted'))
    await store.insert(numbers('counted', 100_000))
    await store.insert(numbers('counted', 3))
    expect(await store.query('SELECT count() AS rows, sum(n) AS total FROM counted')).toEqual([
      { rows: '100003', total: String((100_000 * 99_999) / 2 + 3) },
    ])
    const parts = await store.query(
      "SELECT rows FROM system.parts WHERE table = 'counted' AND level = 0 ORDER BY rows",
    )
    expect(parts).toEqual([{ rows: '3' }, { rows: '100000' }])
  })

  it('refuses to call an insert done when the engine wrote another number of rows', async () => {
    await store.command(CREATE('short'))
    expect(await failureOf(store.insert(numbers('short', 5, 6)))).toMatchObject({
      code: 'rowsLost',
      retryable: true,
    })
  })

  it('inserts nothing of rows that end in the middle', async () => {
    await store.command(CREATE('torn'))
    const whole = numbers('torn', 5)
    const torn = { ...whole, chunks: [whole.chunks[0] ?? new Uint8Array()] }
    expect(await failureOf(store.insert(torn))).toMatchObject({ code: 'statementFailed', retryable: false })
    expect(await store.query('SELECT count() AS rows FROM torn')).toEqual([{ rows: '0' }])
  })

  it('runs statements with parameters that answer nothing', async () => {
    await store.command(CREATE('given'))
    await store.command('INSERT INTO given SELECT {n:UInt64}, {seventh:UInt16}', { n: 12, seventh: 5 })
    expect(await store.query('SELECT n, seventh FROM given')).toEqual([{ n: '12', seventh: 5 }])
  })

  it.each([
    ['SELEC 1', false, '62'],
    ['SELECT * FROM nowhere', false, '60'],
    ["SELECT throwIf(1, 'as asked')", false, '395'],
    [
      "SELECT throwIf(1, 'no memory', toInt16(241)) SETTINGS allow_custom_error_code_in_throwif = 1",
      true,
      '241',
    ],
  ])('tells what %s failed with', async (sql, retryable, code) => {
    const failure = await failureOf(store.command(sql))
    expect(failure).toMatchObject({ code: 'statementFailed', retryable })
    expect(failure.message).toContain(`(${code})`)
  })

  it('is closed once', async () => {
    const other = kind === 'server' ? await connectUsageStore({ kind: 'url', url: server.url }) : null
    await other?.close()
    await other?.close()
    expect(await store.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
  })
})

describe('the HTTP protocol before the embedded engine', () => {
  const post = (query: string, search = ''): Promise<Response> =>
    fetch(`${server.url}/?${search}`, { method: 'POST', body: query })

  it('answers the ping', async () => {
    expect(await (await fetch(`${server.url}/ping`)).text()).toBe('Ok.\n')
  })

  it('tells the code of an exception by header, status and text', async () => {
    const response = await post('SELECT * FROM nowhere')
    expect(response.status).toBe(404)
    expect(response.headers.get('x-clickhouse-exception-code')).toBe('60')
    expect(await response.text()).toMatch(/^Code: 60\. DB::Exception: .*\(UNKNOWN_TABLE\) \(version /s)
  })

  it('lets GET read and not write', async () => {
    const get = (sql: string): Promise<Response> =>
      fetch(`${server.url}/?query=${encodeURIComponent(sql)}&default_format=JSONEachRow`)
    expect(await (await get('SELECT 1 AS x')).text()).toBe('{"x":1}\n')
    const refused = await get(CREATE('by_get'))
    expect(refused.headers.get('x-clickhouse-exception-code')).toBe('164')
  })

  it('applies settings of the URL to one statement', async () => {
    const limit = "SELECT value FROM system.settings WHERE name = 'max_threads'"
    const before = await (await post(limit)).text()
    expect(await (await post(limit, 'max_threads=1')).text()).toBe('1\n')
    const after = await Promise.all(Array.from({ length: 16 }, async () => (await post(limit)).text()))
    expect(new Set(after)).toEqual(new Set([before]))
    const unknown = await post('SELECT 1', 'no_such_setting=1')
    expect(unknown.headers.get('x-clickhouse-exception-code')).toBe('115')
  })

  it('compresses what the client asks to have compressed', async () => {
    const client = createClient({ url: server.url, compression: { request: true, response: true } })
    try {
      await client.command({ query: CREATE('packed') })
      await client.insert({
        table: 'packed',
        format: 'JSONEachRow',
        values: Array.from({ length: 1000 }, (_, n) => ({ n, seventh: n % 7 })),
      })
      const answer = await client.query({ query: 'SELECT n FROM packed ORDER BY n', format: 'JSONEachRow' })
      expect(answer.response_headers['content-encoding']).toBe('gzip')
      expect(await answer.json()).toHaveLength(1000)
    } finally {
      await client.close()
    }
  })

  it('keeps what it acknowledged when it is killed, and is the same server afterwards', async () => {
    const store = await connectUsageStore({ kind: 'url', url: server.url })
    try {
      await store.command(CREATE('kept').concat(' SETTINGS fsync_after_insert = 1'))
      await store.insert(numbers('kept', 10))
      await server.kill9()
      expect(await failureOf(store.query('SELECT 1'))).toMatchObject({ code: 'unavailable', retryable: true })
      await server.restart()
      expect(await store.query('SELECT count() AS rows FROM kept')).toEqual([{ rows: '10' }])
    } finally {
      await store.close()
    }
  })
})
