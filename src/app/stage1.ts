import type { OpenMeterReads } from '../http/compat/openmeter.ts'
import { createCompatRoutes } from '../http/compat/routes.ts'
import type { Api, Authenticator } from '../http/api.ts'
import { createDeadLetterRoutes } from '../http/dead-letters.ts'
import { createEventTailRoutes } from '../http/event-tail.ts'
import { createEventRoutes } from '../http/events.ts'
import { createOtlpRoutes } from '../http/otlp.ts'
import { createDeadLetterRetry } from '../ingest/dead-letter-retry.ts'
import { createEventTail } from '../ingest/event-tail.ts'
import { createIngest } from '../ingest/ingest.ts'
import { createIngestMetrics } from '../telemetry/ingest.ts'
import { createOtlpMetrics } from '../telemetry/otlp.ts'
import { newId } from './control.ts'
import { startDeadLetters } from './dead-letters.ts'
import type { HeldDirectory } from './directory.ts'
import type { Engines } from './engines.ts'
import type { Shell } from './shell.ts'

export interface Stage1 {
  readonly routes: readonly Api[]
  /** Of operators, beside those of the control plane: what was rejected, what is accepted. */
  readonly operatorRoutes: readonly Api[]
  /** Before the socket closes: what was taken is answered, what comes is sent elsewhere. */
  readonly drain: () => Promise<void>
}

/** Stage 1 with its own route and those where other vendors' clients send. */
export function createStage1(
  shell: Shell,
  engines: Pick<Engines, 'log' | 'database'>,
  { directory, schemas, otlpMappings }: Pick<HeldDirectory, 'directory' | 'schemas' | 'otlpMappings'>,
  authenticator: Authenticator,
  openMeterReads?: OpenMeterReads,
): Stage1 {
  const { config, clock, registry, onFault } = shell
  const { log } = engines
  const letters = startDeadLetters(shell, engines)
  const ingest = createIngest({
    log,
    directory,
    schemas,
    clock,
    metrics: createIngestMetrics(registry),
    config: config.ingest,
    rejectedEvents: letters.rejectedEvents,
    onFault: (reason) => onFault('appending events', reason),
  })
  const common = { authenticator, ingest, bodyBytesMax: config.ingest.requestBytesMax }
  const routes = [
    createEventRoutes(common),
    createOtlpRoutes({
      ...common,
      mappings: otlpMappings,
      requestEventsMax: config.ingest.requestEventsMax,
      ...createOtlpMetrics(registry),
    }),
    createCompatRoutes({
      ...common,
      clock,
      newEventId: () => newId('evt', clock),
      subjectOfSubscription: () => null,
      ...(openMeterReads === undefined ? {} : { openMeterReads }),
    }),
  ]
  const retry = createDeadLetterRetry({ store: letters.store, ingest, clock })
  const tail = createEventTail({ log, onFault: (error) => onFault('following accepted events', error) })
  const operatorRoutes = [
    createDeadLetterRoutes({ authenticator, letters: letters.store, retry }),
    createEventTailRoutes({ authenticator, tail }),
  ]
  // Streams have no end of their own: the socket would wait for them.
  const drain = async (): Promise<void> => {
    await Promise.all([tail.stop(), ingest.drain()])
  }
  return { routes, operatorRoutes, drain }
}
