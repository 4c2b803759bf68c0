import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTallyman } from '../../client/src/index.ts'
import { openSpool } from '../../client/src/spool/index.ts'
import { eventually } from '../support/eventually.ts'
import { call, cleanEnvironment, type ServerProcess, startServer } from '../support/server.ts'

const METERS = {
  jobs: { name: 'Jobs', eventType: 'job.done', aggregation: 'count' },
  units: { name: 'Units', eventType: 'job.done', aggregation: 'sum', valueProperty: 'units' },
  requests: { name: 'Requests', eventType: 'http.request', aggregation: 'count' },
  storage: { name: 'Bytes', eventType: 'storage.measured', aggregation: 'sum', valueProperty: 'bytes' },
  gpu: { name: 'GPU seconds', eventType: 'gpu.used', aggregation: 'sum', valueProperty: 'seconds' },
  input: { name: 'Input', eventType: 'llm.request', aggregation: 'sum', valueProperty: 'inputTokens' },
  output: { name: 'Output', eventType: 'llm.request', aggregation: 'sum', valueProperty: 'outputTokens' },
} as const

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-client-'))
const dataDirectory = join(scratch, 'data')
const children = new Set<ChildProcess>()
let server: ServerProcess
let upstream: Server

beforeAll(async () => {
  server = await startServer({ dataDirectory })
  for (const [key, meter] of Object.entries(METERS)) {
    expect((await call(server, 'PUT', `/v1/meters/${key}`, meter)).status).toBeLessThan(300)
  }
  upstream = await startModel()
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await server.stop() // a killed one leaves a PostgreSQL that writes a little longer, while the directory is removed
  upstream.closeAllConnections()
  upstream.close()
  rmSync(scratch, { recursive: true, force: true })
})

/** Kills the server and starts it again where its clients look for it. */
async function crash(): Promise<void> {
  await server.kill9()
  server = await startServer({ dataDirectory, args: ['--port', new URL(server.apiUrl).port] })
}

async function metered(meter: keyof typeof METERS): Promise<string> {
  const day = (offset: number): string => new Date(Date.now() + offset * 86_400_000).toISOString()
  const path = `/v1/meters/${meter}/usage?from=${day(-2)}&to=${day(1)}&window=none`
  const { status, body } = await call(server, 'GET', path)
  expect(status, JSON.stringify(body)).toBe(200)
  return (body as { data: readonly { value: string }[] }).data[0]?.value ?? '0'
}

async function expectMetered(meter: keyof typeof METERS, value: string): Promise<void> {
  const answer = await eventually(
    () => metered(meter),
    (found) => Number(found) >= Number(value),
  )
  expect(answer).toBe(value)
}

interface Example {
  readonly child: ChildProcess
  /** Resolves with the first line that it prints. */
  readonly firstLine: Promise<string>
  readonly end: Promise<{ readonly code: number | null; readonly output: string }>
}

function runExample(name: string, args: readonly string[] = [], env: Record<string, string> = {}): Example {
  const child = spawn(process.execPath, [`examples/${name}.ts`, ...args], {
    env: cleanEnvironment({ TALLYMAN_URL: server.apiUrl, TALLYMAN_API_KEY: server.adminKey, ...env }),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.add(child)
  let output = ''
  const first = Promise.withResolvers<string>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (output.includes('\n')) first.resolve(output.slice(0, output.indexOf('\n')))
  })
  const end = new Promise<{ readonly code: number | null; readonly output: string }>((resolve) => {
    child.once('close', (code) => {
      children.delete(child)
      resolve({ code, output })
    })
  })
  return { child, firstLine: first.promise, end }
}

function addressIn(line: string): string {
  return /http:\S+/.exec(line)?.[0] ?? ''
}

/** A model that streams as many tokens as the question has, and reports its usage in the last chunk. */
async function startModel(): Promise<Server> {
  let answers = 0
  const model = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (part: string) => (text += part))
    request.on('end', () => {
      const { tokens } = JSON.parse(text) as { readonly tokens: number }
      const head = { id: `answer-${++answers}`, model: 'small' }
      for (let i = 0; i < tokens; i++) response.write(`data: ${JSON.stringify({ ...head, usage: null })}\n\n`)
      const usage = { prompt_tokens: 10, completion_tokens: tokens }
      response.end(`data: ${JSON.stringify({ ...head, usage })}\n\ndata: [DONE]\n\n`)
    })
  })
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve))
  return model
}

describe('the client against the server', () => {
  it('C1: loses nothing and counts nothing twice while the server is killed -9 and started again', async () => {
    const spool = openSpool({ directory: join(scratch, 'spool') })
    const tallyman = createTallyman({
      url: server.apiUrl,
      apiKey: server.adminKey,
      source: '/e2e',
      spool,
      batchEventsMax: 50,
      lingerMs: 5,
      retryPauseMsMax: 200,
      onFault: () => undefined, // expected: the server is killed
    })
    let recorded = 0
    const recordMany = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const units = recorded % 2 === 0 ? 3n : '0.25'
        expect(tallyman.record({ type: 'job.done', subject: 'acme', data: { units } }).kind).toBe('buffered')
        recorded += 1
      }
    }
    for (const until of [1000, 4000]) {
      recordMany(3000)
      await eventually(
        () => tallyman.stats().durable,
        (durable) => durable >= until,
      )
      recordMany(1000)
      await crash()
    }
    const { receipt } = await tallyman.recordDurably({
      type: 'job.done',
      subject: 'acme',
      data: { units: 3 },
    })
    expect(receipt).toMatchObject({ partition: expect.any(Number) as number })
    expect(await tallyman.close(120_000)).toEqual({ left: 0 })
    expect(tallyman.stats()).toMatchObject({ recorded: 8001, durable: 8001, rejected: 0, refused: {} })
    expect(tallyman.stats().retries).toBeGreaterThan(0)
    await expectMetered('jobs', '8001')
    await expectMetered('units', '13003') // 4000 × 3 + 4000 × 0.25 + 3
  })
})

describe('the examples', () => {
  it('http-service.ts counts requests, also those during an outage and before its own kill -9', async () => {
    const env = { SPOOL: join(scratch, 'http-spool') }
    const ask = async (url: string, count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const path = i % 10 === 0 ? '/missing' : '/'
        await (await fetch(url + path, { headers: { 'x-customer': 'acme' } })).text()
      }
    }
    const first = runExample('http-service', [], env)
    const url = addressIn(await first.firstLine)
    await ask(url, 40)
    await server.kill9()
    await ask(url, 60)
    first.child.kill('SIGKILL')
    await first.end
    server = await startServer({ dataDirectory, args: ['--port', new URL(server.apiUrl).port] })
    const second = runExample('http-service', [], env)
    await ask(addressIn(await second.firstLine), 25)
    second.child.kill('SIGTERM')
    const { code, output } = await second.end
    expect(output).toContain('closed, 0 events left')
    expect(code).toBe(0)
    await expectMetered('requests', '125')
  })

  it('cron-job.ts meters each customer once, however often it runs', async () => {
    const day = new Date().toISOString().slice(0, 10)
    for (let run = 0; run < 2; run++) {
      const { code, output } = await runExample('cron-job', [day]).end
      expect(output).toBe(`3 of 3 measured for ${day}\n`)
      expect(code).toBe(0)
    }
    await expectMetered('storage', '9007711254740993')
  })

  it('gpu-seconds.ts sums its intervals to the nanosecond, with the server down in between', async () => {
    const jobs = [runExample('gpu-seconds'), runExample('gpu-seconds', ['job-b'])]
    await crash()
    let nanoseconds = 0n
    for (const { code, output } of await Promise.all(jobs.map(({ end }) => end))) {
      const { seconds, left } = JSON.parse(output) as { readonly seconds: string; readonly left: number }
      expect({ code, left }).toEqual({ code: 0, left: 0 })
      nanoseconds += BigInt(seconds.replace('.', ''))
    }
    const digits = String(nanoseconds).padStart(10, '0')
    const exact = `${digits.slice(0, -9)}.${digits.slice(-9)}`.replace(/\.?0+$/, '')
    await expectMetered('gpu', exact)
  })

  it('llm-proxy.ts counts the tokens of streamed answers', async () => {
    const port = (upstream.address() as AddressInfo).port
    const proxy = runExample('llm-proxy', [], { UPSTREAM: `http://127.0.0.1:${port}` })
    const url = addressIn(await proxy.firstLine)
    const ask = async (tokens: number): Promise<string> => {
      const body = JSON.stringify({ tokens })
      const headers = { 'x-customer': 'acme' }
      return (await fetch(url, { method: 'POST', headers, body })).text()
    }
    const answers = await Promise.all([5, 70, 300].map(ask))
    expect(answers.map((text) => text.split('data: {').length - 1)).toEqual([6, 71, 301])
    // A caller who hangs up has used what the model has made.
    const hangsUp = await fetch(url, {
      method: 'POST',
      headers: { 'x-customer': 'acme' },
      body: '{"tokens":2000}',
    })
    await hangsUp.body?.cancel()
    await server.kill9()
    await ask(1000)
    server = await startServer({ dataDirectory, args: ['--port', new URL(server.apiUrl).port] })
    proxy.child.kill('SIGTERM')
    expect((await proxy.end).output).toContain('closed, 0 events left')
    await expectMetered('input', '50')
    await expectMetered('output', '3375')
  })

  it('leave the books in order', async () => {
    expect((await call(server, 'POST', '/v1/reconcile')).body, server.errors()).toMatchObject({ ok: true })
    expect(await server.stop()).toBe(0)
  })
})
