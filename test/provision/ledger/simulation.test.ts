import { describe, expect, it } from 'vitest'
import { PROTECTIONS } from './broken-books.ts'
import { simulate } from './simulation.ts'

/** The thousand stand in test/integration/gate-simulation.test.ts. */
const SEEDS = 100
const SEEDS_MAX = 120

describe('I10: a hard quota is not oversold', () => {
  it(`by no crash, partition, pause, jump of a clock, loss or repetition in ${SEEDS} runs`, () => {
    let [admitted, limit] = [0n, 0n]
    for (let seed = 1; seed <= SEEDS; seed++) {
      const run = simulate(seed)
      expect(run.overshoot, `seed ${seed}`).toBe(0n)
      admitted += run.admitted
      limit += run.limit
    }
    // A gate that admits nothing oversells nothing: most of the limit must have been given out.
    expect(Number((admitted * 100n) / limit)).toBeGreaterThan(85)
  })

  it.each(PROTECTIONS)('because %s: without it some run oversells', (protection) => {
    let seed = 1
    while (seed <= SEEDS_MAX && simulate(seed, protection).overshoot === 0n) seed++
    expect(seed).toBeLessThanOrEqual(SEEDS_MAX)
  })
})
