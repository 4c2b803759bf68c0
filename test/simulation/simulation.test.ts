import { describe, expect, it } from 'vitest'
import { ALL_PROTECTIONS, type Protections } from './protections.ts'
import { simulate, Violation } from './simulate.ts'

/** `npm test` runs so many; `SEEDS=100000 node test/simulation/run.ts` runs more. */
const SEEDS = 10_000
const SEEDS_WITHOUT = 400

describe('the aggregator under faults', () => {
  it(
    `I1, I2, I3, I4, I5, I6: ${SEEDS} seeded lives lose nothing, count nothing twice, and drain`,
    { timeout: 300_000 },
    async () => {
      let events = 0
      let kills = 0
      for (let seed = 1; seed <= SEEDS; seed++) {
        try {
          const life = await simulate(seed, ALL_PROTECTIONS)
          events += life.events
          kills += life.kills
        } catch (error) {
          throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
        }
      }
      expect(events).toBeGreaterThan(20 * SEEDS)
      expect(kills).toBeGreaterThan(2 * SEEDS)
    },
  )

  it('is the same life for the same seed', async () => {
    expect(await simulate(7, ALL_PROTECTIONS)).toEqual(await simulate(7, ALL_PROTECTIONS))
  })

  it.each(Object.keys(ALL_PROTECTIONS) as (keyof Protections)[])(
    'breaks without %s, and the suite sees it',
    async (name) => {
      let caught: unknown = null
      for (let seed = 1; seed <= SEEDS_WITHOUT && caught === null; seed++) {
        caught = await simulate(seed, { ...ALL_PROTECTIONS, [name]: false }).then(
          () => null,
          (error: unknown) => error,
        )
      }
      expect(caught).toBeInstanceOf(Violation)
    },
  )
})
