import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FakeApi, problem, startFakeApi } from '../support/fake-api.ts'
import { at, type CliRun, inTemporaryDirectory, runCommand } from '../support/run-cli.ts'

let fake: FakeApi
beforeEach(async () => {
  fake = await startFakeApi()
})
afterEach(() => fake.stop())

const MAPPING = `
type: llm.request
subject: "{user}"
time: "{when}"
data:
  tokens: "{tokens}"
  place: "{region}/{zone}"
`

interface Import extends CliRun {
  readonly rejects: readonly unknown[]
  readonly files: { readonly data: string }
}

async function importFile(
  directory: string,
  content: string,
  {
    name = 'usage.csv',
    mapping = MAPPING,
    flags = [],
    interrupt = new AbortController(),
  }: { name?: string; mapping?: string; flags?: readonly string[]; interrupt?: AbortController } = {},
): Promise<Import> {
  const data = join(directory, name)
  const map = join(directory, 'map.yaml')
  writeFileSync(data, content)
  writeFileSync(map, mapping)
  const run = await runCommand(
    ['events', 'import', data, '--mapping', map, '--json', ...flags, ...at(fake)],
    {
      interrupt,
    },
  )
  const rejects = `${data}.rejects.ndjson`
  const lines = existsSync(rejects) ? readFileSync(rejects, 'utf8').trim().split('\n') : []
  return { ...run, rejects: lines.map((line) => JSON.parse(line) as unknown), files: { data } }
}

const ROWS =
  'when,user,tokens,region,zone\n2026-03-01 10:00:00,acme,12.50,eu,a\n2026-03-01T11:00:00Z,bolt,7,us,b\n'

describe('events import', () => {
  it('makes an event of each row, with every digit, ids by row number', async () => {
    await inTemporaryDirectory(async (directory) => {
      const run = await importFile(directory, ROWS)
      expect(run.exitCode).toBe(0)
      expect(JSON.parse(run.stdout)).toMatchObject({ rows: 2, accepted: 2, duplicates: 0, rejected: 0 })
      const [first, second] = [...fake.events.values()]
      expect(first).toEqual({
        specversion: '1.0',
        source: expect.stringMatching(/^usage\.csv#[0-9a-f]{8}$/) as string,
        id: '1',
        type: 'llm.request',
        subject: 'acme',
        time: '2026-03-01T10:00:00Z',
        data: { tokens: '12.50', place: 'eu/a' },
      })
      expect(second).toMatchObject({ id: '2', time: '2026-03-01T11:00:00Z' })
    })
  })

  it('adds nothing when run twice, and only the new rows when rows were added', async () => {
    await inTemporaryDirectory(async (directory) => {
      await importFile(directory, ROWS)
      const again = await importFile(directory, ROWS)
      expect(JSON.parse(again.stdout)).toMatchObject({ accepted: 0, duplicates: 2 })
      const longer = await importFile(directory, `${ROWS}2026-03-01T12:00:00Z,acme,1,eu,a\n`)
      expect(JSON.parse(longer.stdout)).toMatchObject({ accepted: 1, duplicates: 2 })
    })
  })

  it('takes another month of the same name for another source', async () => {
    await inTemporaryDirectory(async (directory) => {
      await importFile(directory, ROWS)
      const april = await importFile(directory, ROWS.replaceAll('2026-03', '2026-04'))
      expect(JSON.parse(april.stdout)).toMatchObject({ accepted: 2, duplicates: 0 })
    })
  })

  it('writes rows that are no events to the rejects, with line and reason, and sends the others', async () => {
    fake.answer = ({ path, body }) => {
      const events = body as { subject: string }[] | undefined
      if (path !== '/v1/events' || events === undefined) return undefined
      const index = events.findIndex(({ subject }) => subject === 'nobody')
      const rejected = [{ index, id: 'x', code: 'unknownSubject', detail: 'nobody has it' }]
      return { status: 202, body: { accepted: events.length - 1, duplicates: 0, rejected } }
    }
    await inTemporaryDirectory(async (directory) => {
      const run = await importFile(
        directory,
        'when,user,tokens,region,zone\r\n' +
          'yesterday,acme,1,eu,a\r\n' +
          '2026-03-01T10:00:00Z,,1,eu,a\r\n' +
          '2026-03-01T10:00:00Z,acme,1\r\n' +
          '\r\n' +
          '2026-03-01T10:00:00Z,ac"me,1,eu,a\r\n' +
          '2026-03-01T10:00:00Z,nobody,1,eu,a\r\n' +
          '2026-03-01T10:00:00Z,acme,1,eu,a\r\n',
      )
      expect(run.exitCode).toBe(1)
      expect(JSON.parse(run.stdout)).toMatchObject({ rows: 6, accepted: 1, rejected: 5 })
      expect(run.rejects).toEqual([
        { line: 2, row: 1, reason: 'time "yesterday" is not a date and time such as 2026-03-01T12:00:00Z' },
        { line: 3, row: 2, reason: 'subject is empty' },
        { line: 4, row: 3, reason: 'the row has 3 columns, the header 5' },
        { line: 6, row: 4, reason: expect.stringContaining('Quote') as string },
        { line: 7, row: 5, reason: 'unknownSubject: nobody has it' },
      ])
    })
  })

  it('a row that cannot be read keeps its number, so mending it gives no other row another id', async () => {
    await inTemporaryDirectory(async (directory) => {
      const broken = ROWS.replace('acme,12.50', 'ac"me,12.50')
      await importFile(directory, broken, { flags: ['--source', 's'] })
      await importFile(directory, ROWS, { flags: ['--source', 's'] })
      expect([...fake.events.values()].map(({ id }) => id)).toEqual(['2', '1'])
    })
  })

  it('goes on after the last checkpoint when it was interrupted', async () => {
    await inTemporaryDirectory(async (directory) => {
      const rows = Array.from({ length: 60_000 }, (_, i) => `2026-03-01T10:00:00Z,acme,${i},eu,a\n`).join('')
      const interrupt = new AbortController()
      let batches = 0
      fake.answer = ({ path }) => {
        if (path === '/v1/events' && ++batches === 110) interrupt.abort()
        return undefined
      }
      const content = `when,user,tokens,region,zone\n${rows}`
      const first = await importFile(directory, content, { interrupt })
      expect(first).toMatchObject({ exitCode: 1, stdout: '' })
      const data = join(directory, 'usage.csv')
      const before = fake.requests.length
      const run = await runCommand([
        'events',
        'import',
        data,
        '--mapping',
        join(directory, 'map.yaml'),
        '--json',
        ...at(fake),
      ])
      expect(JSON.parse(run.stdout)).toMatchObject({ rows: 60_000, resumedAfter: 50_000, rejected: 0 })
      const sentAgain = fake.requests.slice(before).flatMap(({ body }) => body as { readonly id: string }[])
      expect(Math.min(...sentAgain.map(({ id }) => Number(id)))).toBe(50_001)
      expect(fake.events.size).toBe(60_000)
      expect(existsSync(`${data}.import`)).toBe(false)
    })
  })

  it('waits for a server that is overloaded, and gives up on one that refuses', async () => {
    await inTemporaryDirectory(async (directory) => {
      let refusals = 3
      fake.answer = ({ path }) =>
        path === '/v1/events' && refusals-- > 0
          ? { ...problem(503, 'overloaded', 'Try again.'), headers: { 'retry-after': '0' } }
          : undefined
      expect((await importFile(directory, ROWS)).exitCode).toBe(0)
      fake.answer = () => problem(403, 'insufficientScope', 'This route needs the scope "ingest".')
      const refused = await importFile(directory, ROWS)
      expect(refused.stderr).toContain('403 insufficientScope')
      expect(refused.exitCode).toBe(1)
    })
  })

  it('reads NDJSON by dotted path, with the digits of its numbers', async () => {
    await inTemporaryDirectory(async (directory) => {
      const run = await importFile(
        directory,
        '{"id":"r1","at":1772359200.25,"who":{"org":"acme"},"cost":12345678901234567.10,"ok":true}\n' +
          '\n[1]\n{"id":"r2","who":{"org":"acme"}}\n',
        {
          name: 'gateway.ndjson',
          mapping:
            'source: gateway\ntype: call\nid: "{id}"\nsubject: "{who.org}"\ntime: "{at}"\ntimeFormat: epochSeconds\ndata: {cost: "{cost}", ok: "{ok}"}\n',
        },
      )
      expect([...fake.events.values()]).toEqual([
        {
          specversion: '1.0',
          source: 'gateway',
          id: 'r1',
          type: 'call',
          subject: 'acme',
          time: '2026-03-01T10:00:00.25Z',
          data: { cost: '12345678901234567.10', ok: 'true' },
        },
      ])
      expect(run.rejects).toEqual([
        { line: 3, row: 2, reason: 'the line is not a JSON object' },
        { line: 4, row: 3, reason: 'time: there is no at' },
      ])
    })
  })

  it('reads times without a zone in the zone of the mapping, over the change of clocks', async () => {
    await inTemporaryDirectory(async (directory) => {
      const mapping = `${MAPPING}timezone: Europe/Berlin\n`
      const rows = ['2026-03-29 01:59:59', '2026-03-29 03:00:00', '2026-07-01', '2026-07-01T00:00:00Z']
      const content = `when,user,tokens,region,zone\n${rows.map((time) => `${time},a,1,eu,a\n`).join('')}`
      await importFile(directory, content, { mapping })
      expect([...fake.events.values()].map(({ time }) => time)).toEqual([
        '2026-03-29T00:59:59Z',
        '2026-03-29T01:00:00Z',
        '2026-06-30T22:00:00Z',
        '2026-07-01T00:00:00Z',
      ])
    })
  })

  it('sends nothing in a dry run and shows the first events', async () => {
    await inTemporaryDirectory(async (directory) => {
      const run = await importFile(directory, ROWS, { flags: ['--dry-run'] })
      expect(fake.requests).toHaveLength(0)
      expect(JSON.parse(run.stdout)).toMatchObject({
        dryRun: true,
        accepted: 2,
        sample: [{ subject: 'acme' }, { subject: 'bolt' }],
      })
    })
  })

  it.each([
    ['columns that the file lacks', ROWS, MAPPING.replace('{user}', '{usr}'), 'The mapping reads "usr"'],
    [
      'unknown members',
      ROWS,
      `${MAPPING}sources: s\n`,
      'line 8, column 1: unknown member "sources"; did you mean "source"?',
    ],
    ['no subject', ROWS, MAPPING.replace('subject: "{user}"', ''), 'subject is missing'],
    ['a brace alone', ROWS, MAPPING.replace('{tokens}', '{tokens'), 'a brace stands alone in "{tokens"'],
    ['a zone that is none', ROWS, `${MAPPING}timezone: Mars/Base\n`, 'there is no zone "Mars/Base"'],
    ['no YAML', ROWS, 'a: [', 'is neither YAML nor JSON'],
    ['an open quote', `${ROWS}"2026,a,1,eu,a\n${'x'.repeat(50)}\n`, MAPPING, 'not closed'],
  ])('refuses %s with a sentence', async (_, content, mapping, message) => {
    await inTemporaryDirectory(async (directory) => {
      const run = await importFile(directory, content, { mapping })
      expect(run.stderr).toContain(message)
      expect(run.stderr).not.toMatch(/^ +at /m)
      expect(run.exitCode).toBe(1)
    })
  })
})

describe('events send', () => {
  const event = (id: number): string =>
    `{"specversion":"1.0","source":"s","id":"${id}","type":"t","time":"2026-01-01T00:00:00Z","data":{"n":0.10}}`

  it('sends NDJSON from stdin in batches of a hundred', async () => {
    const stdin = Array.from({ length: 250 }, (_, i) => event(i)).join('\n')
    const run = await runCommand(['events', 'send', '-', '--json', ...at(fake)], { stdin })
    expect(JSON.parse(run.stdout)).toEqual({ sent: 250, accepted: 250, duplicates: 0, rejected: [] })
    expect(fake.requests).toHaveLength(3)
  })

  it('names the line that is not JSON', async () => {
    const run = await runCommand(['events', 'send', '-', ...at(fake)], { stdin: `${event(1)}\n{oops\n` })
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain('tallyman: Line 2 is not JSON')
  })

  it('names a file that is not there', async () => {
    const run = await runCommand(['events', 'send', 'nowhere.ndjson', ...at(fake)])
    expect(run).toMatchObject({ exitCode: 1, stderr: 'tallyman: There is no file nowhere.ndjson.\n' })
  })

  it('makes one event of flags and tells its id', async () => {
    const flags = ['--type', 't', '--subject', 'acme', '--property', 'tokens=12.50']
    const run = await runCommand(['events', 'send', ...flags, ...at(fake)])
    expect(run.stdout).toContain('1 accepted, 0 were there already, 0 rejected, id id-')
    expect([...fake.events.values()][0]).toMatchObject({ subject: 'acme', data: { tokens: '12.50' } })
  })

  it('fails when an event is rejected and says which', async () => {
    fake.answer = () => ({
      status: 202,
      body: {
        accepted: 1,
        duplicates: 0,
        rejected: [{ index: 1, id: '2', code: 'tooOld', detail: 'too old' }],
      },
    })
    const run = await runCommand(['events', 'send', '-', ...at(fake)], {
      stdin: `${event(1)}\n${event(2)}\n`,
    })
    expect(run.exitCode).toBe(1)
    expect(run.stdout).toContain('event 2 (2): tooOld: too old')
  })
})

describe('events trace, void and tail', () => {
  it('trace asks by source and id', async () => {
    fake.answer = () => ({ status: 200, body: { state: 'counted', meters: ['requests'] } })
    const run = await runCommand(['events', 'trace', '7', '--source', 's', ...at(fake)])
    expect(fake.requests[0]?.query.toString()).toBe('source=s&id=7')
    expect(run.stdout).toContain('counted')
  })

  it('void names each event with its reason', async () => {
    fake.answer = () => ({ status: 202, body: { accepted: 2, duplicates: 0, rejected: [] } })
    const run = await runCommand([
      'events',
      'void',
      '1',
      '2',
      '--source',
      's',
      '--reason',
      'test run',
      ...at(fake),
    ])
    expect(run.exitCode).toBe(0)
    expect(fake.requests[0]?.body).toEqual({
      events: [
        { source: 's', id: '1', reason: 'test run' },
        { source: 's', id: '2', reason: 'test run' },
      ],
    })
  })
})
