import { ALL_PROTECTIONS } from './protections.ts'
import { simulate } from './simulate.ts'

/** `SEEDS=100000 FROM=1 node test/simulation/run.ts`: as many lives as one likes; the first that fails is named. */
const seeds = Number(process.env['SEEDS'] ?? 100_000)
const from = Number(process.env['FROM'] ?? 1)
const startedMs = performance.now()
const sum = { seeds: 0, steps: 0, events: 0, kills: 0 }
for (let seed = from; seed < from + seeds; seed++) {
  try {
    const { steps, events, kills } = await simulate(seed, ALL_PROTECTIONS)
    sum.seeds++
    sum.steps += steps
    sum.events += events
    sum.kills += kills
  } catch (error) {
    console.error(`seed ${seed}: ${String(error)}`)
    process.exit(1)
  }
  if (sum.seeds % 10_000 === 0) console.error(`${sum.seeds} seeds, ${sum.kills} kills`)
}
const seconds = (performance.now() - startedMs) / 1000
console.log(
  `${sum.seeds} seeds, ${sum.steps} steps, ${sum.events} events, ${sum.kills} kills: lost 0, twice 0 (${seconds.toFixed(0)} s)`,
)
