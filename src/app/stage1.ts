import { createCompatRoutes } from '../http/compat/routes.ts'
import type { Api, Authenticator } from '../http/api.ts'
import { createEventRoutes } from '../http/events.ts'
import { createIngest } from '../ingest/ingest.ts'
import { createIngestMetrics } from '../telemetry/ingest.ts'
import { newId } from './control.ts'
import type { HeldDirectory } from './directory.ts'
import type { Engines } from './engines.ts'
import type { Shell } from './shell.ts'

export interface Stage1 {
  readonly routes: readonly Api[]
  /** Before the socket closes: what was taken is answered, what comes is sent elsewhere. */
  readonly drain: () => Promise<void>
}

/** Stage 1 with its own route and those where other vendors' clients send. */
export function createStage1(
  { config, clock, registry, onFault }: Shell,
  { log }: Pick<Engines, 'log'>,
  { directory, schemas }: Pick<HeldDirectory, 'directory' | 'schemas'>,
  authenticator: Authenticator,
): Stage1 {
  const ingest = createIngest({
    log,
    directory,
    schemas,
    clock,
    metrics: createIngestMetrics(registry),
    config: config.ingest,
    onFault: (reason) => onFault('appending events', reason),
  })
  const common = { authenticator, ingest, bodyBytesMax: config.ingest.requestBytesMax }
  const routes = [
    createEventRoutes(common),
    createCompatRoutes({
      ...common,
      clock,
      newEventId: () => newId('evt', clock),
      subjectOfSubscription: () => null,
    }),
  ]
  return { routes, drain: ingest.drain }
}
