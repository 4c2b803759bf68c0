import type { Clock } from '../time/clock.ts'
import type { EventLog } from '../usage/event-log.ts'
import { EVENT_PARTITIONS, TOPIC_EPOCH } from '../usage/topics.ts'
import type { AggregateMetrics, StageLogger, UsageStore } from './ports.ts'
import { createUsageSink } from './sink.ts'
import type { MinuteMark } from './touched.ts'
import { type Aggregator, type AggregatorConfig, createAggregatorWorker } from './worker.ts'

export interface AggregatorOptions {
  readonly log: EventLog
  readonly store: UsageStore
  readonly clock: Clock
  readonly metrics: AggregateMetrics
  readonly logger: StageLogger
  readonly config: AggregatorConfig
  /** Told which minutes a flush touched, once it counts; the roller wants to know. */
  readonly onFlushed?: (marks: readonly MinuteMark[]) => void
  /** Told when it reads no further: a hole in the log, or a consumer that stands still. */
  readonly onStopped?: (error: Error) => void
}

/** Stage 2 on a usage store: makes what is on the log countable. */
export function createAggregator({ store, ...deps }: AggregatorOptions): Aggregator {
  const sink = createUsageSink(store, { epoch: TOPIC_EPOCH, partitions: EVENT_PARTITIONS })
  return createAggregatorWorker({ ...deps, sink })
}
