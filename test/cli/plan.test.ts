import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FakeApi, startFakeApi } from '../support/fake-api.ts'
import { at, inTemporaryDirectory, runCommand } from '../support/run-cli.ts'

const plan = {
  name: 'API',
  currency: 'USD',
  interval: 'month',
  prices: [
    { key: 'base', name: 'Base', payment: 'inArrears', price: { model: 'flat', amount: '20.00' } },
    {
      key: 'calls',
      name: 'Calls',
      meter: 'calls',
      payment: 'inArrears',
      price: { model: 'unit', unitAmount: '0.0000025' },
    },
  ],
}
const answered = {
  ...plan,
  key: 'api',
  version: 3,
  createdAt: '2026-01-01T00:00:00Z',
  effectiveAt: null,
  existingSubscriptions: 'grandfather',
}

let fake: FakeApi
beforeEach(async () => {
  fake = await startFakeApi()
  fake.answer = ({ method, path, query, body }) => {
    if (method === 'GET' && path === '/v1/plans')
      return { status: 200, body: { data: [answered], nextCursor: null, hasMore: false } }
    if (method === 'GET' && path === '/v1/plans/api') {
      const [base, calls] = answered.prices
      const old = query.get('version') === '1'
      return { status: 200, body: old ? { ...answered, version: 1, prices: [calls, base] } : answered }
    }
    return method === 'PUT'
      ? { status: 200, body: { ...(body as object), key: path.split('/').at(-1), version: 1 } }
      : undefined
  }
})
afterEach(() => fake.stop())

function file(directory: string, name: string, content: unknown): string {
  const path = join(directory, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

describe('plan lint', () => {
  it('finds nothing wrong with the example', async () => {
    const run = await runCommand(['plan', 'lint', 'examples/plan.yaml'])
    expect(run).toMatchObject({ exitCode: 0, stdout: 'examples/plan.yaml has no faults.\n' })
  })

  it('tells every fault at once, with its pointer, and ends with 1', () =>
    inTemporaryDirectory(async (directory) => {
      const path = file(
        directory,
        'catalog.yaml',
        `plans:
  bad:
    name: Bad
    currency: usd
    interval: fortnight
    prices:
      - { key: a, name: A, payment: inArrears, price: { model: auction } }
      - { key: b, name: B, meter: m, payment: inArrears, price: { model: graduated, tiers: [{ upTo: 5, unitAmount: -1 }] } }
  good: ${JSON.stringify(plan)}
`,
      )
      const run = await runCommand(['plan', 'lint', path, '--json'])
      const { ok, faults } = JSON.parse(run.stdout) as { ok: boolean; faults: { pointer: string }[] }
      expect([run.exitCode, ok]).toEqual([1, false])
      expect(faults.map(({ pointer }) => pointer)).toEqual([
        '/plans/bad/currency',
        '/plans/bad/interval',
        '/plans/bad/prices/0/price/model',
        '/plans/bad/prices/1/price/tiers/0/upTo',
        '/plans/bad/prices/1/price/tiers/0/unitAmount',
      ])
      expect(run.stderr).toContain('has 5 faults')
    }))
})

describe('plan diff', () => {
  it('tells what two files do not share, prices by their keys and decimals by value', () =>
    inTemporaryDirectory(async (directory) => {
      const [base, calls] = plan.prices
      const before = file(directory, 'a.json', plan)
      const after = file(directory, 'b.json', {
        ...plan,
        name: 'API 2',
        prices: [
          { ...calls, price: { model: 'unit', unitAmount: '0.000003' }, minimum: '5' },
          { ...base, price: { model: 'flat', amount: '20' } },
        ],
      })
      const run = await runCommand(['plan', 'diff', before, after])
      expect(run.stdout.trimEnd().split('\n')).toEqual([
        '~ /name "API" -> "API 2"',
        '~ /prices/calls/price/unitAmount "0.0000025" -> "0.000003"',
        '+ /prices/calls/minimum "5"',
      ])
      expect((await runCommand(['plan', 'diff', before, before])).stdout).toBe('They are the same.\n')
    }))

  it('compares versions of the server, whatever the order of their prices', async () => {
    const run = await runCommand(['plan', 'diff', 'api@1', 'api', ...at(fake)])
    expect(run).toMatchObject({ exitCode: 0, stdout: 'They are the same.\n' })
    expect(fake.requests.map(({ query }) => query.get('version'))).toEqual(['1', null])
  })
})

describe('plan export and import', () => {
  it('bring a catalog out and back in as it was, to the last digit', () =>
    inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'catalog.yaml')
      expect(await runCommand(['plan', 'export', '--output', path, ...at(fake)])).toMatchObject({
        exitCode: 0,
      })
      expect(readFileSync(path, 'utf8')).toContain('unitAmount: "0.0000025"')
      const run = await runCommand(['plan', 'import', path, ...at(fake)])
      expect(run).toMatchObject({ exitCode: 0 })
      const put = fake.requests.find(({ method }) => method === 'PUT')
      expect(put).toMatchObject({ path: '/v1/plans/api', body: plan })
    }))

  it('sends nothing while any plan has a fault, and names a plan that is not there', () =>
    inTemporaryDirectory(async (directory) => {
      const path = file(directory, 'catalog.json', { plans: { a: plan, b: { ...plan, currency: 'XXX' } } })
      const run = await runCommand(['plan', 'import', path, ...at(fake)])
      expect(run.exitCode).toBe(1)
      expect(run.stderr).toContain('/plans/b/currency')
      expect(fake.requests).toEqual([])
      const single = file(directory, 'plan.json', plan)
      expect((await runCommand(['plan', 'import', single, ...at(fake)])).stderr).toContain('no keys of plans')
      expect((await runCommand(['plan', 'export', 'none', ...at(fake)])).stderr).toContain('no plan none')
    }))
})
