import type { Clock } from '../time/clock.ts'
import { instantOf } from '../time/instant.ts'

/** The log stamps records with the machine's clock unless a test brings its own. */
export const systemClock: Clock = { now: () => instantOf(Date.now()) }
