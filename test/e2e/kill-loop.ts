import { parseArgs } from 'node:util'
import { killEmbedded } from '../support/kill-embedded.ts'
import { killFleet } from '../support/kill-fleet.ts'
import { NOTHING_ASTRAY } from '../support/load-account.ts'

/**
 * The long form of the kill loops, with figures: node test/e2e/kill-loop.ts --kills 100 [--on embedded|kafka]
 * [--rate 3000] [--seed 1]. Exits with 1 when an acknowledged event was lost, or one counts twice.
 */
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    on: { type: 'string', default: 'embedded' },
    rate: { type: 'string', default: '3000' },
    seed: { type: 'string', default: '1' },
  },
})
const run = { embedded: killEmbedded, kafka: killFleet }[values.on]
if (run === undefined) throw new RangeError(`--on ${values.on}: it is embedded or kafka`)
const result = await run({
  kills: Number(values.kills),
  seed: Number(values.seed),
  eventsPerSecond: Number(values.rate),
  onProgress: (text) => console.log(text),
})
console.log(JSON.stringify(result, null, 2))
const { lost, twice, invented, unitsAstray } = result.account
const kills = Object.values(result.kills).reduce((sum, count) => sum + count, 0)
console.log(`kills ${kills}, acknowledged ${result.account.acknowledged}, lost ${lost}, twice ${twice}`)
const astray = { lost, twice, invented, unitsAstray }
process.exitCode =
  JSON.stringify(astray) === JSON.stringify(NOTHING_ASTRAY) && result.faults.length === 0 ? 0 : 1
