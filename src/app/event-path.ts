import type { Registry } from 'prom-client'
import { createAggregator } from '../aggregate/aggregator.ts'
import { type ConflictSweeper, createConflictSweeper } from '../aggregate/conflicts.ts'
import { followJournal, type JournalReach } from '../aggregate/journal-follower.ts'
import type { AggregateMetrics } from '../aggregate/ports.ts'
import { createRoller, type Roller } from '../aggregate/roller.ts'
import { readJournal } from '../aggregate/sink.ts'
import { createUsageReader, type UsageReader } from '../aggregate/usage-reader.ts'
import type { Aggregator } from '../aggregate/worker.ts'
import type { Config } from '../config.ts'
import type { Directory } from '../ingest/directory.ts'
import type { UsageSource } from '../invoice/ports.ts'
import type { UsageReader as QuotaUsage } from '../provision/ports.ts'
import { createAggregateMetrics } from '../telemetry/aggregate.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Clock } from '../time/clock.ts'
import { LogError } from '../usage/event-log.ts'
import { EVENT_PARTITIONS, TOPIC_EPOCH, TOPIC_EVENTS } from '../usage/topics.ts'
import type { Closing } from './closing.ts'
import type { Engines } from './engines.ts'

export interface UsageSideOptions {
  readonly engines: Pick<Engines, 'log' | 'store'>
  readonly directory: Pick<Directory, 'meters'>
  readonly config: Config
  readonly clock: Clock
  readonly registry: Registry
  readonly logger: Logger
  readonly closing: Closing
  /** Whether this process aggregates, or another one does. */
  readonly aggregates: boolean
  readonly onFatal: (error: Error) => void
}

export interface UsageSide {
  /** Null where another process aggregates. */
  readonly aggregator: Aggregator | null
  readonly journal: JournalReach
  readonly reader: UsageReader
  readonly conflicts: ConflictSweeper
  readonly metrics: AggregateMetrics
  /** Null where another process aggregates. */
  readonly roller: Roller | null
}

/** Stage 2, or its journal as another process writes it, and the reader of what it has made countable. */
export async function startUsageSide(options: UsageSideOptions): Promise<UsageSide> {
  const { engines, clock, closing, logger } = options
  const { log, store } = engines
  const metrics = createAggregateMetrics(options.registry)
  const conflicts = createConflictSweeper({ store, metrics, epoch: TOPIC_EPOCH })
  if (options.aggregates) {
    const roller = createRoller({
      store,
      readJournal: async () =>
        (await readJournal(store, TOPIC_EPOCH, EVENT_PARTITIONS)).map(({ partition, end }) => ({
          partition,
          offset: end,
        })),
      conflicts,
      meters: () => options.directory.meters(),
      clock,
      metrics,
      logger,
    })
    const aggregator = createAggregator({
      log,
      store,
      clock,
      metrics,
      logger,
      config: options.config.aggregate,
      onFlushed: (marks) => roller.touched(marks),
      // A hole stays a hole after a restart, and an operator has to look; a consumer that stands still may be mended by one.
      onStopped: (error) => {
        if (error instanceof LogError && error.code === 'unavailable') options.onFatal(error)
      },
    })
    closing.add('rollups', () => roller.stop())
    closing.add('aggregator', () => aggregator.stop())
    await aggregator.start()
    roller.start()
    const reader = createUsageReader({ store, journal: aggregator, conflicts })
    return { aggregator, journal: aggregator, reader, conflicts, metrics, roller }
  }
  const journal = await followJournal({
    readJournal: () => readJournal(store, TOPIC_EPOCH, EVENT_PARTITIONS),
    endOffsets: () => log.endOffsets(TOPIC_EVENTS),
    nowMs: () => clock.now(),
    onError: (error) => logger.warn({ err: error }, 'the journal could not be read; trying again'),
  })
  closing.add('journal', () => journal.stop())
  const reader = createUsageReader({ store, journal, conflicts })
  return { aggregator: null, journal, reader, conflicts, metrics, roller: null }
}

/** What quotas ask: the exact figure of everything that is countable now. */
export function quotaUsage({ reader }: UsageSide, directory: Pick<Directory, 'meter'>): QuotaUsage {
  return {
    usageOf: async ({ tenant, meter: key, subjects, interval }) => {
      const meter = directory.meter(tenant, key)
      if (meter === null) return '0' // a quota on a meter that is not there yet has no usage yet
      const { rows } = await reader.query({
        ...{ tenant, meter, subjects, interval, window: 'none', timezone: 'UTC' },
        ...{ bySubject: false, groupBy: [], filters: {} },
      })
      return rows[0]?.value ?? '0'
    },
  }
}

/** What invoices ask: where the log ends, and what counts before a cut. */
export function invoiceUsage(usage: UsageSide, { log }: Pick<Engines, 'log'>): UsageSource {
  return {
    endOffsets: () => log.endOffsets(TOPIC_EVENTS),
    waitForJournal: (cut, timeoutMs) => usage.journal.waitForJournal(cut, timeoutMs),
    usageAtCut: (request) => usage.reader.usageAtCut(request),
  }
}
