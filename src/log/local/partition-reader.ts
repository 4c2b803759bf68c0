import type { Clock } from '../../time/clock.ts'
import type { ConsumeOptions, LogRecord } from '../../usage/event-log.ts'
import type { ConsumerLag, LogMetrics } from '../../usage/log-metrics.ts'
import { BATCH_BYTES_MAX, BATCH_RECORDS_MAX } from '../bounds.ts'
import { assertContiguous, assertReadable } from '../contiguity.ts'
import type { LogLogger } from '../ports.ts'
import type { LocalTopic } from './local-topic.ts'

/** The longest pause between two deliveries of a batch whose handler fails. */
const RETRY_PAUSE_MS_MAX = 5000

export interface PartitionReader {
  lag(): ConsumerLag
  /** No further batch; resolves when the handler that runs has finished. */
  stop(): Promise<void>
}

export interface PartitionReaderDeps {
  readonly topic: LocalTopic
  readonly partition: number
  readonly options: ConsumeOptions
  readonly clock: Clock
  readonly metrics: LogMetrics
  readonly logger: LogLogger
  /** The first pause after a handler failed; it doubles with each failure in a row. */
  readonly retryPauseMs: number
  /** Called once, when reading again cannot help; the reader has ended. */
  readonly onFatal: (error: Error) => void
}

/** Delivers one partition to one consumer: one batch at a time, in order, again from `resumeAt` after a failure. */
export function startPartitionReader(deps: PartitionReaderDeps): PartitionReader {
  const { topic, partition, options, clock, metrics, logger } = deps
  const { group } = options
  let isStopping = false
  let wake: () => void = () => undefined
  let handledTo: number | null = null
  let failuresInRow = 0

  /** Until `arm` wakes it, or a stop. */
  function idle(arm: (wake: () => void) => () => void): Promise<void> {
    if (isStopping) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = arm(() => wake())
      wake = () => {
        wake = () => undefined
        cancel()
        resolve()
      }
    })
  }

  /** Null after a failure, which was logged and waited for. */
  async function attempt<T>(what: string, act: () => Promise<T>): Promise<T | null> {
    try {
      return await act()
    } catch (error) {
      const pauseMs = Math.min(deps.retryPauseMs * 2 ** failuresInRow++, RETRY_PAUSE_MS_MAX)
      logger.warn(
        { err: error, topic: topic.name, partition, group, pauseMs },
        `${what} failed and is repeated`,
      )
      await idle((wakeUp) => {
        const timer = setTimeout(wakeUp, pauseMs)
        return () => clearTimeout(timer)
      })
      return null
    }
  }

  function readFrom(next: number): readonly LogRecord[] {
    const end = topic.end(partition)
    assertReadable(topic.name, partition, next, { start: topic.start(partition), end })
    if (next === end) return []
    const records = topic.read(partition, next, BATCH_BYTES_MAX, BATCH_RECORDS_MAX)
    assertContiguous(topic.name, partition, next, records)
    return records
  }

  async function run(): Promise<void> {
    let next: number | null = null
    while (!isStopping) {
      next ??= await attempt('finding the position', () => options.resumeAt(partition))
      if (next === null) continue
      let records: readonly LogRecord[]
      try {
        records = readFrom(next)
      } catch (error) {
        isStopping = true
        deps.onFatal(error instanceof Error ? error : new Error(String(error)))
        return
      }
      handledTo = next
      if (records.length === 0) {
        await idle((wakeUp) => topic.onNextAppend(partition, wakeUp))
        continue
      }
      const isHandled = await attempt('a consumer', async () => {
        await options.onBatch({ topic: topic.name, partition, records })
        failuresInRow = 0
        return true
      })
      metrics.delivered({ group, topic: topic.name, records: records.length, isHandled: isHandled === true })
      next = isHandled === true ? next + records.length : null
    }
  }

  const ended = run()
  return {
    lag() {
      const end = topic.end(partition)
      const from = handledTo ?? end
      const oldest =
        from < end && from >= topic.start(partition) ? topic.read(partition, from, 1, 1)[0] : undefined
      const seconds = oldest === undefined ? 0 : Math.max(0, clock.now() - oldest.appendedAt) / 1000
      return { group, topic: topic.name, partition, records: Math.max(0, end - from), seconds }
    },
    async stop() {
      isStopping = true
      wake()
      await ended
    },
  }
}
