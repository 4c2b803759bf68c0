import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  createWriteStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { call, cleanEnvironment, type ServerProcess, startServer } from '../support/server.ts'

const ROWS = 500_000
const FILE_BYTES_MIN = 50_000_000
/** Rows without a subject. */
const BROKEN_EVERY = 40_000
const BROKEN = Math.floor(ROWS / BROKEN_EVERY)
/** A gigabyte must pass through as much as this. */
const HEAP_MB = 48

let directory: string
let server: ServerProcess
let file: string
let mapping: string

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tallyman-test-'))
  server = await startServer({ dataDirectory: join(directory, 'data') })
  file = join(directory, 'usage.csv')
  mapping = join(directory, 'map.yaml')
  writeFileSync(
    mapping,
    'type: imported\nsubject: "{user}"\ntime: "{when}"\nid: "{request}"\nsource: import-test\ndata:\n  n: "{n}"\n  path: "{path}"\n',
  )
  const now = new Date(Date.now() - 3_600_000).toISOString()
  const stream = createWriteStream(file)
  stream.write('request,when,user,n,path\n')
  for (let i = 1; i <= ROWS; i++) {
    const user = i % BROKEN_EVERY === 0 ? '' : `user-${i % 1000}`
    const hasRoom = stream.write(
      `req-${i},${now},${user},1,/v1/chat/completions/of/a/path/as/long/as/they/are/${i % 97}\n`,
    )
    if (!hasRoom) await once(stream, 'drain')
  }
  stream.end()
  await once(stream, 'close')
})
afterAll(async () => {
  await server.stop()
  rmSync(directory, { recursive: true, force: true })
})

function start(...flags: readonly string[]): ChildProcess & { readonly stdout: NodeJS.ReadableStream } {
  const child = spawn(
    process.execPath,
    [
      ...[`--max-old-space-size=${HEAP_MB}`, 'bin/tallyman.ts', 'events', 'import', file, '--json'],
      ...['--mapping', mapping, '--url', server.apiUrl, '--key', server.adminKey, ...flags],
    ],
    { env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] },
  )
  child.stderr.resume()
  return child
}

async function finish(child: ReturnType<typeof start>) {
  const [output, ended] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return { code: ended[0] as number | null, result: JSON.parse(output) as Record<string, number> }
}

const rejects = () =>
  (existsSync(`${file}.rejects.ndjson`) ? readFileSync(`${file}.rejects.ndjson`, 'utf8') : '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { readonly row: number }).row)

it('a file of 50 MB goes through a small heap, over a kill, and twice adds nothing', async () => {
  expect(statSync(file).size).toBeGreaterThan(FILE_BYTES_MIN)
  await call(server, 'PUT', '/v1/meters/imported', {
    name: 'Imported',
    eventType: 'imported',
    aggregation: 'sum',
    valueProperty: 'n',
  })
  const killed = start()
  const died = once(killed, 'exit')
  await eventually(
    () => existsSync(`${file}.import`) && rejects().length >= 2,
    (isUnderWay) => isUnderWay,
    120_000,
  )
  killed.kill('SIGKILL')
  await died
  const told = JSON.parse(readFileSync(`${file}.import`, 'utf8')) as { readonly rows: number }
  expect(told.rows).toBeGreaterThan(0)
  expect(told.rows).toBeLessThan(ROWS)

  const second = await finish(start())
  expect(second).toMatchObject({ code: 1, result: { rows: ROWS, resumedAfter: told.rows, rejected: BROKEN } })
  expect((second.result['accepted'] ?? 0) + (second.result['duplicates'] ?? 0)).toBe(ROWS - BROKEN)
  const expected = Array.from({ length: BROKEN }, (_, i) => (i + 1) * BROKEN_EVERY)
  // Each once, though some were told before the kill and again behind the checkpoint.
  expect(rejects()).toEqual(expected)
  expect(existsSync(`${file}.import`)).toBe(false)

  const third = await finish(start('--restart'))
  expect(third).toMatchObject({ code: 1, result: { rows: ROWS, resumedAfter: 0, rejected: BROKEN } })
  const day = 86_400_000
  const from = new Date(Date.now() - day).toISOString()
  const to = new Date(Date.now() + day).toISOString()
  const total = await eventually(
    async () => {
      const { body } = await call(
        server,
        'GET',
        `/v1/meters/imported/usage?from=${from}&to=${to}&window=none`,
      )
      return (body['data'] as { readonly value: string }[] | undefined)?.[0]?.value ?? JSON.stringify(body)
    },
    (value) => value === String(ROWS - BROKEN),
    60_000,
  )
  expect(total).toBe(String(ROWS - BROKEN))
})
