import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { reportOf, runVectors, type VectorResult } from './run.ts'

let results: readonly VectorResult[] = []

beforeAll(async () => {
  results = await runVectors(import.meta.dirname)
})

/** The results for vectors that this test writes. */
async function resultsOf(...vectors: readonly object[]): Promise<readonly VectorResult[]> {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-vectors-'))
  try {
    writeFileSync(join(directory, 'own-vectors.json'), JSON.stringify(vectors))
    return await runVectors(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const standard = {
  id: 'own-1',
  source_repo: 'own',
  model: 'standard',
  config: { unit_amount: '2' },
  usage: { units: '3' },
  expected: { amount: '6' },
}

describe('the oracle vectors', () => {
  it('are all there, and none fails', () => {
    expect(results).toHaveLength(529)
    expect(results.filter(({ kind }) => kind === 'failed')).toEqual([])
  })

  it('are excluded only by a policy that docs/vectors.md gives reasons for', async () => {
    const excluded = results.flatMap((result) => (result.kind === 'excluded' ? [result] : []))
    const page = await readFile('docs/vectors.md', 'utf8')
    for (const policy of new Set(excluded.map((result) => result.policy))) {
      expect(page).toContain(policy.replace(/^policy: /, ''))
    }
    // Where ours is another value, the page states it; subjects that are not there have none.
    for (const { id, ours } of excluded) if (ours !== 'null') expect(page).toContain(id)
    expect(excluded).toHaveLength(29)
  })
})

describe('the runner', () => {
  it('compares exactly: another last digit fails', async () => {
    const [passed, failed] = await resultsOf(standard, { ...standard, expected: { amount: '6.0000000001' } })
    expect(passed).toMatchObject({ kind: 'passed' })
    expect(failed).toMatchObject({
      kind: 'failed',
      expected: '{"amount":"6.0000000001"}',
      actual: '{"amount":"6"}',
    })
  })

  it('fails on a member that the mapping does not know, wherever it stands', async () => {
    const odd = await resultsOf(
      { ...standard, config: { unit_amount: '2', minimum: '100' } },
      { ...standard, usage: { units: '3', previous_units: '1' } },
      { ...standard, model: 'graduated', config: { tiers: [{ up_to: null, unit_amount: '2', per: '10' }] } },
      { ...standard, expected: { amount: '6', tax: '1' } },
    )
    expect(odd.map(({ kind }) => kind)).toEqual(['failed', 'failed', 'failed', 'failed'])
    expect(JSON.stringify(odd)).toContain('does not know own-vectors.json.0.config.minimum')
  })

  it('fails on a model without a mapping, and on words that mean another rule', async () => {
    const odd = await resultsOf(
      { ...standard, model: 'auction' },
      {
        ...standard,
        model: 'package',
        config: { package_size: '10', package_amount: '1', rounding: 'nearest' },
      },
    )
    expect(odd.map(({ kind }) => kind)).toEqual(['failed', 'failed'])
  })

  it('ends its report with the sums, and tells expected and actual of a failure', async () => {
    const report = reportOf(await resultsOf(standard, { ...standard, expected: { amount: '7' } }))
    expect(report).toContain('FAILED own-1 (standard)\n  expected {"amount":"7"}\n  actual   {"amount":"6"}')
    expect(report.split('\n').at(-1)).toBe('1 passed, 1 failed, 0 excluded')
  })

  it('refuses a directory without vectors', async () => {
    await expect(runVectors('docs')).rejects.toThrow('no file in docs')
  })
})
