import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FakeApi, startFakeApi } from '../support/fake-api.ts'
import { fakeSystem, inTemporaryDirectory, runCommand } from '../support/run-cli.ts'

let fake: FakeApi
beforeEach(async () => {
  fake = await startFakeApi()
})
afterEach(() => fake.stop())

interface DemoJson {
  readonly events: unknown
  readonly quota: unknown
  readonly invoice: { readonly periodEnd: string; readonly lines: readonly { readonly quantity: string }[] }
  readonly invoices?: readonly { readonly periodEnd: string }[]
  readonly reconcile: unknown
  readonly timings: Record<string, number>
}

async function demo(
  args: readonly string[],
  { trace, interrupt = new AbortController() }: { trace?: string; interrupt?: AbortController } = {},
) {
  return inTemporaryDirectory(async (directory) => {
    let stops = 0
    const path = join(directory, 'trace.csv')
    if (trace !== undefined) writeFileSync(path, trace)
    const run = await runCommand(['demo', ...args, ...(trace === undefined ? [] : ['--trace', path])], {
      temporaryDirectory: directory,
      interrupt,
      deps: { startSystem: fakeSystem(fake, () => stops++) },
    })
    const [made] = readdirSync(directory).filter((name) => name.startsWith('tallyman-demo-'))
    return { ...run, stops, documents: made === undefined ? [] : readdirSync(join(directory, made)) }
  })
}

const HEADER = 'TIMESTAMP,ContextTokens,GeneratedTokens\n'

describe('tallyman demo', () => {
  it('sends the default trace once, every tenth batch twice, and tells it as JSON', async () => {
    const run = await demo(['--json'])
    expect(run.stderr).toContain('[6/6]')
    expect(run.exitCode).toBe(0)
    const result = JSON.parse(run.stdout) as DemoJson
    expect(result.events).toEqual({ sent: 9_619, accepted: 8_819, duplicates: 800 })
    expect(result.quota).toEqual({
      suspendedAt: '2023-11-30T23:00:00Z',
      keyStatus: 'suspended',
      code: 'quotaExceeded',
    })
    expect(result.invoice.periodEnd).toBe('2023-12-01T00:00:00Z')
    expect(result.invoices).toBeUndefined()
    expect(result.reconcile).toMatchObject({ ok: true })
    expect(result.timings['total']).toBeGreaterThan(0)
    expect(run.documents.sort()).toEqual(['TM-2023-12.csv', 'TM-2023-12.pdf'])
    expect(run.stops).toBe(1)
  })

  it('uses the ingest key for events and batches of a hundred CloudEvents with every digit of the time', async () => {
    await demo(['--json'])
    const batches = fake.requests.filter(({ path }) => path === '/v1/events')
    expect(batches).toHaveLength(97)
    expect(new Set(batches.map(({ authorization }) => authorization))).toEqual(
      new Set(['Bearer tm_live_made']),
    )
    expect(batches[0]?.contentType).toBe('application/cloudevents-batch+json')
    expect((batches[0]?.body as unknown[])[0]).toEqual({
      specversion: '1.0',
      type: 'llm.request',
      source: 'azure-llm-inference-2023-code.csv',
      id: '1',
      subject: 'acme',
      time: '2023-11-16T18:17:03.9799600Z',
      data: { contextTokens: 4808, generatedTokens: 10 },
    })
  })

  it('tells the story to people: ladder, refusal, formula, where to look next', async () => {
    const { stdout } = await demo([])
    expect(stdout).toContain('at  80 % notify   reached at 2023-11-30T23:00:00Z')
    expect(stdout).toContain('refused with 429 quotaExceeded')
    expect(stdout).toContain('9 packages × 0.50')
    expect(stdout).toContain('Where to look next')
  })

  it('says when the quota is not reached', async () => {
    const run = await demo(['--json'], { trace: `${HEADER}2024-02-29 12:00:00.0000000,100,20\n` })
    const result = JSON.parse(run.stdout) as DemoJson
    expect(result.quota).toEqual({ suspendedAt: null, keyStatus: 'active', code: 'valid' })
    expect(run.stderr).toContain('The quota is not reached with 20 output tokens')
    expect(result.invoice.periodEnd).toBe('2024-03-01T00:00:00Z')
    expect(fake.requests.find(({ path }) => path === '/v1/test-clocks')?.body).toEqual({
      now: '2024-02-29T23:00:00Z',
    })
  })

  it('takes CRLF, quotes, blank lines, a byte order mark, other columns and zones', async () => {
    const trace =
      '\uFEFF"ContextTokens","Region","TIMESTAMP","GeneratedTokens"\r\n\r\n' +
      '"1",eu,"2024-05-31 23:59:59.999999+00:00","2"\r\n   \r\n3,us,2024-05-01T00:00:00+02:00,4'
    const run = await demo(['--json'], { trace })
    expect(run.exitCode).toBe(0)
    const times = [...fake.events.values()].map(({ id, time }) => [id, time])
    expect(times).toEqual([
      ['2', '2024-05-01T00:00:00+02:00'], // in April by UTC, so it is sent first
      ['1', '2024-05-31T23:59:59.999999+00:00'],
    ])
  })

  it('closes every month from the first to the last, those without events too', async () => {
    const trace = `${HEADER}2024-01-31 23:59:59.9,1,1\n2023-11-02 00:00:00,2,250000\n2023-11-03 00:00:00,2,2\n`
    const run = await demo(['--json'], { trace })
    const result = JSON.parse(run.stdout) as DemoJson
    expect(result.invoices?.map(({ periodEnd }) => periodEnd)).toEqual([
      '2023-12-01T00:00:00Z',
      '2024-01-01T00:00:00Z',
      '2024-02-01T00:00:00Z',
    ])
    expect(result.quota).toMatchObject({ suspendedAt: '2023-11-30T23:00:00Z', keyStatus: 'suspended' })
    expect(run.stderr).toContain('Each of these months is billed')
    const clock = fake.requests
      .filter(({ path }) => path.endsWith('/advance'))
      .map(({ body }) => (body as { to: string }).to)
    expect(clock).toEqual([
      '2023-12-01T02:00:00Z',
      '2023-12-31T23:00:00Z',
      '2024-01-01T02:00:00Z',
      '2024-01-31T23:00:00Z',
      '2024-01-31T23:59:59.900Z', // the trace's last row: what lies ahead of the clock is refused
      '2024-02-01T02:00:00Z',
    ])
  })

  it.each([
    [
      'other columns',
      'time,in,out\n1,2,3\n',
      'line 1 lacks the column TIMESTAMP and ContextTokens and GeneratedTokens',
    ],
    ['no rows', HEADER, 'has no rows'],
    ['an empty file', '', 'has no rows'],
    [
      'a negative number',
      `${HEADER}\n2023-11-01 00:00:00,-1,2\n`,
      'line 3: ContextTokens must be a whole number',
    ],
    [
      'a day that does not exist',
      `${HEADER}2023-11-31 00:00:00,1,2\n`,
      'line 2: TIMESTAMP must be a date and time',
    ],
    [
      'a missing cell',
      `${HEADER}2023-11-01 00:00:00,1,2\r\n2023-11-01 00:00:00,1\r\n`,
      'line 3: this row has another number',
    ],
    ['an open quote', `${HEADER}2023-11-01 00:00:00,"1,2\n`, 'a quote is opened and not closed'],
    [
      'a typing error in a year',
      `${HEADER}2023-11-01 00:00:00,1,2\n1023-11-01 00:00:00,1,2\n`,
      'at most 120 months',
    ],
  ])('refuses a trace with %s before anything starts', async (_, trace, message) => {
    const run = await demo([], { trace })
    expect(run.stderr).toContain(message)
    expect(run.stderr).not.toMatch(/^ +at /m)
    expect(run.exitCode).toBe(1)
    expect(run.stops).toBe(0)
  })

  it('names a trace that is not there', async () => {
    const run = await runCommand(['demo', '--trace', 'nowhere.csv'])
    expect(run).toMatchObject({ exitCode: 1, stderr: 'tallyman: There is no file nowhere.csv.\n' })
  })

  it('fails when the server counts more than was sent, and stops the system', async () => {
    fake.answer = ({ path }) =>
      path.endsWith('/usage')
        ? { status: 200, body: { data: [{ start: '', end: '', value: '8820' }] } }
        : undefined
    const run = await demo([])
    expect(run.stderr).toContain('8,819 events were sent for 2023-11, but 8,820 are counted')
    expect(run).toMatchObject({ exitCode: 1, stops: 1 })
  })

  it('fails when the reconciliation does not hold', async () => {
    fake.answer = ({ path }) =>
      path === '/v1/reconcile'
        ? { status: 200, body: { ok: false, checks: [{ name: 'log = journal', ok: false, drift: 1 }] } }
        : undefined
    const run = await demo(['--json'])
    expect(JSON.parse(run.stdout)).toMatchObject({ reconcile: { ok: false } })
    expect(run).toMatchObject({ exitCode: 1, stops: 1 })
  })

  it('stops the system when interrupted', async () => {
    const interrupt = new AbortController()
    fake.answer = ({ path }) => {
      if (path === '/v1/events') interrupt.abort()
      return undefined
    }
    const run = await demo([], { interrupt })
    expect(run.stderr).toContain('Interrupted.')
    expect(run).toMatchObject({ exitCode: 1, stops: 1 })
  })

  it('goes on with the customer that an earlier run left', async () => {
    await demo(['--json'])
    const run = await demo(['--json'])
    expect(run.exitCode).toBe(0)
    expect(fake.requests.filter(({ path }) => path === '/v1/test-clocks')).toHaveLength(1)
    expect(
      fake.requests.filter(({ method, path }) => method === 'POST' && path === '/v1/subscriptions'),
    ).toHaveLength(1)
    expect(JSON.parse(run.stdout)).toMatchObject({
      events: { accepted: 8_819 },
      quota: { keyStatus: 'active' },
      invoice: { number: 'TM-2023-12' },
    })
  })
})
