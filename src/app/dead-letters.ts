import { createDeadLetterStore } from '../database/dead-letters.ts'
import type { DeadLetterStore } from '../ingest/dead-letter.ts'
import { createDeadLetterBuffer, type RejectedEvents } from '../ingest/dead-letter-buffer.ts'
import { createDeadLetterMetrics } from '../telemetry/dead-letters.ts'
import { instantOf } from '../time/instant.ts'
import type { Engines } from './engines.ts'
import { repeat } from './repeat.ts'
import type { Shell } from './shell.ts'

export interface DeadLetters {
  readonly store: DeadLetterStore
  readonly rejectedEvents: RejectedEvents
}

const PRUNE_PAUSE_MS = 15_000
const DAY_MS = 86_400_000

/** Keeps rejected events, within the configured age and size. */
export function startDeadLetters(shell: Shell, { database }: Pick<Engines, 'database'>): DeadLetters {
  const { config, clock, closing, registry, onFault } = shell
  const { days, bytesMax } = config.deadLetters
  const store = createDeadLetterStore(database.db)
  const metrics = createDeadLetterMetrics(registry)
  const buffer = createDeadLetterBuffer({
    store,
    metrics,
    onFault: (error) => onFault('keeping rejected events', error),
  })
  closing.add('dead letters', () => buffer.stop())
  const stop = repeat(
    PRUNE_PAUSE_MS,
    async () => metrics.pruned(await store.prune(instantOf(clock.now() - days * DAY_MS), bytesMax)),
    (error) => onFault('removing old dead letters', error),
  )
  closing.add('old dead letters', stop)
  return { store, rejectedEvents: buffer }
}
