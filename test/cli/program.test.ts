import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StartFailure } from '../../src/app/start-failure.ts'
import { type FakeApi, problem, startFakeApi } from '../support/fake-api.ts'
import { at, fakeSystem, inTemporaryDirectory, runCommand } from '../support/run-cli.ts'

let fake: FakeApi
beforeEach(async () => {
  fake = await startFakeApi()
})
afterEach(() => fake.stop())

describe('exit codes', () => {
  it.each([
    ['no command', []],
    ['an unknown command', ['invoise']],
    ['an unknown option', ['start', '--prot', '1']],
    ['a group without its command', ['invoice']],
    ['a missing argument', ['usage', 'query']],
    ['a missing option', ['invoice', 'close', '--customer', 'acme']],
    ['a word too much', ['doctor', 'now']],
    ['a flag out of bounds', ['start', '--port', '70000']],
    ['an unknown role', ['start', '--role', 'king']],
    ['a format that is none', ['invoice', 'show', 'inv_1', '--format', 'doc', '--key', 'k']],
    ['events from nowhere', ['events', 'send', '--key', 'k']],
    ['nothing to put', ['customer', 'put', 'acme', '--key', 'k']],
  ])('is 2 for %s, with nothing on stdout', async (_, argv) => {
    const run = await runCommand(argv)
    expect(run).toMatchObject({ exitCode: 2, stdout: '' })
    expect(run.stderr).not.toBe('')
    expect(run.stderr).not.toMatch(/^ +at /m)
  })

  it.each([
    [['--help']],
    [['--version']],
    [['help', 'demo']],
    [['demo', '--help']],
    [['events', 'import', '--help']],
    [['invoice', 'close', '--help']],
  ])('is 0 for %j', async (argv) => {
    const run = await runCommand(argv)
    expect(run).toMatchObject({ exitCode: 0, stderr: '' })
    expect(run.stdout).not.toBe('')
  })

  it('is 1, with a sentence, when no server answers', async () => {
    await fake.stop()
    const run = await runCommand(['meter', 'list', ...at(fake)])
    expect(run).toMatchObject({ exitCode: 1, stdout: '' })
    expect(run.stderr).toMatch(
      /^tallyman: No server answers at http:\/\/127\.0\.0\.1:\d+ \(.*\)\. Start one with/,
    )
  })

  it('is 1, with a sentence, when the system cannot start', async () => {
    const startSystem = (): Promise<never> => Promise.reject(new StartFailure('Port 8888 is taken.'))
    const run = await runCommand(['start'], { deps: { startSystem } })
    expect(run).toMatchObject({ exitCode: 1, stdout: '', stderr: 'tallyman: Port 8888 is taken.\n' })
  })

  it('is 1, with the stack, for a fault of ours', async () => {
    const startSystem = (): Promise<never> => Promise.reject(new TypeError('x is not a function'))
    const run = await runCommand(['start'], { deps: { startSystem } })
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain('a fault of ours')
    expect(run.stderr).toMatch(/^ +at /m)
  })
})

describe('problems of the API', () => {
  it('become a sentence with the faults by pointer', async () => {
    fake.answer = () =>
      problem(400, 'invalidPlan', 'The plan is not valid.', [
        { pointer: '/prices/0/price', detail: 'tiers overlap' },
      ])
    const run = await runCommand(['plan', 'put', 'p', '--name', 'P', ...at(fake)])
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toBe(
      'tallyman: PUT /v1/plans/p: 400 invalidPlan: The plan is not valid.\n    /prices/0/price: tiers overlap\n',
    )
  })

  it('name the flag when the key is not good', async () => {
    fake.answer = () => problem(401, 'unknownKey', 'There is no such key.')
    const run = await runCommand(['key', 'list', ...at(fake)])
    expect(run.stderr).toContain('Give a key with --key or TALLYMAN_API_KEY.')
  })

  it('are readable when something else than our server answers', async () => {
    fake.answer = () => ({ status: 502, body: '<html>\u001b[31mbad gateway' })
    const run = await runCommand(['key', 'list', ...at(fake)])
    expect(run.stderr).toBe('tallyman: GET /v1/keys: 502 http502: <html> [31mbad gateway\n')
  })

  it('are not repeated where repeating could do harm, and waited for where it cannot', async () => {
    let refusals = 2
    fake.answer = ({ path }) =>
      path === '/v1/events' && refusals-- > 0
        ? { ...problem(503, 'overloaded', 'Try again.'), headers: { 'retry-after': '0' } }
        : undefined
    const argv = ['events', 'send', '--type', 't', '--subject', 's', ...at(fake), '--json']
    const run = await runCommand(argv)
    expect(JSON.parse(run.stdout)).toMatchObject({ accepted: 1, duplicates: 0, rejected: [] })
    expect(fake.requests).toHaveLength(3)
  })
})

describe('which server and which key', () => {
  it('flags win over the environment, the environment over admin.key', async () => {
    const env = { TALLYMAN_URL: fake.url, TALLYMAN_API_KEY: 'from-environment' }
    const readAdminKey = (directory: string): string => `from ${directory}`
    const keyUsed = async (argv: readonly string[], given: Record<string, string>) => {
      await runCommand(['meter', 'list', ...argv], { env: given, deps: { readAdminKey } })
      return fake.requests.at(-1)?.authorization
    }
    expect(await keyUsed(['--key', 'from-flag'], env)).toBe('Bearer from-flag')
    expect(await keyUsed([], env)).toBe('Bearer from-environment')
    expect(await keyUsed(['--data', 'dir'], { TALLYMAN_URL: fake.url })).toBe('Bearer from dir')
  })

  it('says where keys come from when there is none', async () => {
    const run = await runCommand(['meter', 'list'])
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain('--key or TALLYMAN_API_KEY')
    expect(run.stderr).toContain('no admin.key in ./data')
  })

  it('names the flag whose value does not fit', async () => {
    const run = await runCommand(['start', '--metrics-port', 'many'])
    expect(run.stderr).toContain('--metrics-port must be a whole number from 0 to 65535')
  })

  it('reports every fault of the environment at once', async () => {
    const run = await runCommand(['config', 'check'], { env: { TALLYMAN_PORT: 'x', TALLYMAN_PROT: '1' } })
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain('TALLYMAN_PORT must be a whole number')
    expect(run.stderr).toContain('Did you mean TALLYMAN_PORT?')
  })
})

describe('things of the catalog', () => {
  it('a plan keeps the digits of its file', async () => {
    await inTemporaryDirectory(async (directory) => {
      const file = join(directory, 'plan.yaml')
      writeFileSync(
        file,
        'name: P\ncurrency: USD\nprices:\n  - key: k\n    price: {model: graduated, tiers: [{upTo: 1000000, unitAmount: 0.0000025}, {upTo: null, unitAmount: 1.50}]}\n',
      )
      const run = await runCommand(['plan', 'put', 'p', '--file', file, '--interval', 'month', ...at(fake)])
      expect(run.exitCode).toBe(0)
    })
    expect(fake.requests.at(-1)?.body).toEqual({
      name: 'P',
      currency: 'USD',
      interval: 'month',
      prices: [
        {
          key: 'k',
          price: {
            model: 'graduated',
            tiers: [
              { upTo: '1000000', unitAmount: '0.0000025' },
              { upTo: null, unitAmount: '1.50' },
            ],
          },
        },
      ],
    })
  })

  it('a meter is made of flags', async () => {
    const flags = [
      '--event-type',
      'call',
      '--aggregation',
      'sum',
      '--value-property',
      'ms',
      '--group-by',
      'region=geo.region',
    ]
    await runCommand([
      'meter',
      'put',
      'ms',
      ...flags,
      '--filter',
      'ok=true',
      '--filter',
      'ok=yes',
      ...at(fake),
    ])
    expect(fake.requests.at(-1)).toMatchObject({
      method: 'PUT',
      path: '/v1/meters/ms',
      body: {
        eventType: 'call',
        aggregation: 'sum',
        valueProperty: 'ms',
        groupBy: { region: 'geo.region' },
        filters: { ok: ['true', 'yes'] },
      },
    })
  })

  it('a quota gets its ladder from rungs, a key its rate and quotas', async () => {
    await runCommand([
      'quota',
      'put',
      'q',
      '--limit',
      '100',
      '--rung',
      '0.8:notify',
      '--rung',
      '1:block',
      ...at(fake),
    ])
    expect(fake.requests.at(-1)?.body).toEqual({
      limit: '100',
      ladder: [
        { at: '0.8', action: 'notify' },
        { at: '1', action: 'block' },
      ],
    })
    const run = await runCommand([
      'key',
      'create',
      '--name',
      'n',
      '--scope',
      'read',
      '--quota',
      'q',
      '--rate',
      '10:50',
      ...at(fake),
    ])
    expect(run.stdout).toMatch(/^tm_live_made\n/)
    expect(fake.requests.at(-1)?.body).toEqual({
      name: 'n',
      scopes: ['read'],
      quotas: ['q'],
      rate: { requestsPerSecond: 10, burst: 50 },
    })
  })

  it('lists follow every page, as a table or as JSON', async () => {
    fake.answer = ({ query }) =>
      query.get('cursor') === null
        ? { status: 200, body: { data: [{ key: 'a', name: 'A' }], nextCursor: 'n', hasMore: true } }
        : {
            status: 200,
            body: { data: [{ key: 'b', name: 'B\u001b[2J' }], nextCursor: null, hasMore: false },
          }
    const table = await runCommand(['customer', 'list', ...at(fake)])
    expect(table.stdout.split('\n').map((line) => line.split(/ +/).slice(0, 2))).toEqual([
      ['Key', 'Name'],
      ['---', '-----'],
      ['a', 'A'],
      ['b', 'B'],
      [''],
    ])
    const json = await runCommand(['customer', 'list', '--json', ...at(fake)])
    expect((JSON.parse(json.stdout) as { data: unknown[] }).data).toHaveLength(2)
  })
})

describe('start', () => {
  it('says in one line where it listens, runs until interrupted, and stops', async () => {
    const interrupt = new AbortController()
    let stops = 0
    const startSystem = fakeSystem(fake, () => stops++)
    const run = runCommand(['start', '--data', 'd', '--role', 'all', '--port', '0', '--json'], {
      interrupt,
      deps: {
        startSystem: (config, options) => {
          expect(config).toMatchObject({ dataDir: 'd', role: 'all', port: 0 })
          interrupt.abort()
          return startSystem(config, options)
        },
      },
    })
    expect(JSON.parse((await run).stdout)).toMatchObject({ apiUrl: fake.url, dataDir: 'd' })
    expect(await run).toMatchObject({ exitCode: 0, stderr: 'stopping\n' })
    expect(stops).toBe(1)
  })
})

describe('doctor and reconcile', () => {
  it('doctor fails on a failed check and not on a warning', async () => {
    const doctor = (status: 'warning' | 'failed') => () =>
      Promise.resolve([{ name: 'kafka acks', status, detail: 'acks is 1' }])
    const warned = await runCommand(['doctor'], { deps: { doctor: doctor('warning') } })
    expect(warned.exitCode).toBe(0)
    expect(warned.stdout).toContain('warning  kafka acks  acks is 1')
    const failed = await runCommand(['doctor', '--json'], { deps: { doctor: doctor('failed') } })
    expect(failed.exitCode).toBe(1)
    expect(JSON.parse(failed.stdout)).toMatchObject({ ok: false })
  })

  it('reconcile prints its checks and fails on a mismatch', async () => {
    fake.answer = () => ({
      status: 200,
      body: {
        ok: false,
        checks: [
          ...[0, 1].map((n) => ({ name: `rows, partition ${n}`, ok: true, counts: { events: 1000 } })),
          { name: 'rollups', ok: false, expected: '0 differ', actual: '3 differ', detail: '2 meters' },
        ],
      },
    })
    const run = await runCommand(['reconcile', ...at(fake)])
    expect(run.stdout).toMatch(/^ok +rows, 2 partitions +2,000 events$/m)
    expect(run.stdout).toMatch(/^FAIL +rollups +expected 0 differ, found 3 differ; 2 meters$/m)
    expect(run.exitCode).toBe(1)
  })
})
