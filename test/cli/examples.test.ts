import { readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runRate } from '../../src/cli/rate.ts'
import { type FakeApi, startFakeApi } from '../support/fake-api.ts'
import { at, runCommand } from '../support/run-cli.ts'

let fake: FakeApi
beforeEach(async () => {
  fake = await startFakeApi()
})
afterEach(() => fake.stop())

describe('examples', () => {
  it.each([
    ['azure-llm-inference-2023-code.csv', 'llm-trace.mapping.yaml', 8_819, '2023-11-16T18:17:03.9799600Z'],
    ['gateway-log.ndjson', 'gateway-log.mapping.yaml', 3, '2026-03-02T08:15:04.25Z'],
  ])('%s is read by %s', async (file, mapping, rows, firstTime) => {
    const argv = [
      'events',
      'import',
      `examples/${file}`,
      '--mapping',
      `examples/${mapping}`,
      '--dry-run',
      '--json',
    ]
    const run = await runCommand(argv)
    expect(run.exitCode).toBe(0)
    expect(JSON.parse(run.stdout)).toMatchObject({
      rows,
      accepted: rows,
      sample: [{ time: firstTime }, {}, {}],
    })
  })

  it('plan.yaml goes out with exact amounts', async () => {
    await runCommand(['plan', 'put', 'llm-api', '--file', 'examples/plan.yaml', ...at(fake)])
    expect(fake.requests.at(-1)?.body).toMatchObject({
      prices: [
        { price: { amount: '20.00' } },
        { price: { tiers: [{ upTo: '1000000' }, { unitAmount: '0.0000025' }, { upTo: null }] } },
        {},
        { discounts: [{ percent: '10' }] },
      ],
    })
  })

  it('events.ndjson has one event twice', async () => {
    const run = await runCommand(['events', 'send', 'examples/events.ndjson', '--json', ...at(fake)])
    expect(JSON.parse(run.stdout)).toMatchObject({ sent: 3, accepted: 2, duplicates: 1 })
  })

  it('rating-requests.ndjson are all rated', async () => {
    const output = new PassThrough()
    const input = new PassThrough().end(readFileSync('examples/rating-requests.ndjson'))
    expect(await runRate({ input, output, errorOutput: new PassThrough() })).toBe(0)
    const answers = String(output.read()).trim().split('\n')
    expect(answers.map((line) => (JSON.parse(line) as { amount: string }).amount)).toEqual([
      '20.00',
      '3.00',
      '38.62',
      '2.46',
      '90.00',
      '4.50',
      '36.25',
      '100',
    ])
  })
})
