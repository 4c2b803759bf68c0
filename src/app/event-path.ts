import { createAggregator } from '../aggregate/aggregator.ts'
import type { Aggregator } from '../aggregate/worker.ts'
import { createUsageReader, type UsageReader } from '../aggregate/usage-reader.ts'
import type { Config } from '../config.ts'
import type { UsageSource } from '../invoice/ports.ts'
import type { UsageReader as QuotaUsage } from '../provision/ports.ts'
import { createAggregateMetrics } from '../telemetry/aggregate.ts'
import type { Directory } from '../ingest/directory.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Registry } from 'prom-client'
import type { Clock } from '../time/clock.ts'
import { TOPIC_EVENTS } from '../usage/topics.ts'
import type { Closing } from './closing.ts'
import type { Engines } from './engines.ts'

export interface UsageSide {
  readonly aggregator: Aggregator
  readonly reader: UsageReader
  readonly forQuotas: QuotaUsage
  readonly forInvoices: UsageSource
}

export interface UsageSideOptions {
  readonly engines: Engines
  readonly directory: Pick<Directory, 'meter'>
  readonly config: Config
  readonly clock: Clock
  readonly registry: Registry
  readonly logger: Logger
  readonly closing: Closing
}

/** Stage 2 and what the other stages ask of it. */
export async function startUsageSide(options: UsageSideOptions): Promise<UsageSide> {
  const { engines, config, clock, registry, logger, closing } = options
  const { log, store } = engines
  const metrics = createAggregateMetrics(registry)
  const aggregator = createAggregator({ log, store, clock, metrics, logger, config: config.aggregate })
  closing.add('aggregator', () => aggregator.stop())
  await aggregator.start()
  const reader = createUsageReader({ store, journal: aggregator })
  return {
    aggregator,
    reader,
    forQuotas: {
      usageOf: async ({ tenant, meter: key, subjects, interval }) => {
        const meter = options.directory.meter(tenant, key)
        if (meter === null) return '0' // a quota on a meter that is not there yet has no usage yet
        const cut = aggregator.journal()
        const rows = await reader.usageAtCut({ tenant, meter, subjects, interval, groupBy: [], cut })
        return rows[0]?.value ?? '0'
      },
    },
    forInvoices: {
      endOffsets: () => log.endOffsets(TOPIC_EVENTS),
      waitForJournal: (cut, timeoutMs) => aggregator.waitForJournal(cut, timeoutMs),
      usageAtCut: (request) => reader.usageAtCut(request),
    },
  }
}
