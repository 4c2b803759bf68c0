import { expect, it } from 'vitest'
import { simulate } from '../provision/ledger/simulation.ts'

it('I10: a thousand runs with faults oversell nothing', { timeout: 600_000 }, () => {
  const oversold: number[] = []
  for (let seed = 1_000; seed < 2_000; seed++) if (simulate(seed).overshoot > 0n) oversold.push(seed)
  expect(oversold).toEqual([])
})
