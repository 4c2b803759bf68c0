import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../time/clock.ts'
import { LogError, type ConsumeOptions, type LogRecord } from '../../usage/event-log.ts'
import type { ConsumerLag, LogMetrics } from '../../usage/log-metrics.ts'
import { BATCH_BYTES_MAX, BATCH_RECORDS_MAX } from '../bounds.ts'
import { assertReadable } from '../contiguity.ts'
import type { LogLogger } from '../ports.ts'
import type { Cluster } from './cluster.ts'
import { fetchRecords } from './fetch.ts'
import { KafkaFault } from './kafka-fault.ts'
import { RETRY_PAUSE_MS_MAX } from './settings.ts'
import type { Watched } from './watchdog.ts'

export interface PartitionConsumerDeps {
  readonly cluster: Cluster
  readonly partition: number
  readonly options: ConsumeOptions
  readonly purpose: string
  readonly clock: Clock
  readonly metrics: LogMetrics
  readonly logger: LogLogger
  readonly life: Watched
}

/** Delivers one partition: one batch at a time, in order, again from `resumeAt` after a failure. */
export class PartitionConsumer {
  readonly #deps: PartitionConsumerDeps
  readonly #stopping = new AbortController()
  #failuresInRow = 0
  #handledTo: number | null = null
  #end = 0
  /** When the oldest record that is not handled was appended; null where there is none, or none was fetched yet. */
  #oldestAt: number | null = null
  #isHandling = false
  #withheldSinceMs: number | null = null

  constructor(deps: PartitionConsumerDeps) {
    this.#deps = deps
  }

  /** Runs until `stop`. @throws LogError for what reading again cannot mend */
  async run(): Promise<void> {
    let next: number | null = null
    while (!this.#isStopping()) {
      next ??= await this.#position()
      if (next === null) continue
      const records = await this.#fetch(next)
      for (let from = 0; from < records.length && next !== null; from += BATCH_RECORDS_MAX) {
        if (this.#isStopping()) break
        const batch = records.slice(from, from + BATCH_RECORDS_MAX)
        next = (await this.#deliver(batch)) ? next + batch.length : null
        if (next !== null) this.#handled(next, records[from + batch.length])
      }
    }
    this.#deps.life.rest()
  }

  /** No further batch; `run` resolves when the handler that runs has finished. */
  stop(): void {
    this.#stopping.abort()
    this.#deps.cluster.drop(this.#deps.purpose)
  }

  lag(): ConsumerLag {
    const { options, partition, clock } = this.#deps
    const records = this.#handledTo === null ? 0 : Math.max(0, this.#end - this.#handledTo)
    const seconds =
      records === 0 || this.#oldestAt === null ? 0 : Math.max(0, clock.now() - this.#oldestAt) / 1000
    return { group: options.group, topic: options.topic, partition, records, seconds }
  }

  /** Told while a handler runs, when nobody fetches. */
  sawEnd(end: number): void {
    this.#end = Math.max(this.#end, end)
  }

  get isHandling(): boolean {
    return this.#isHandling
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  /** Null when it is not known yet. */
  async #position(): Promise<number | null> {
    const { options, partition, life, cluster } = this.#deps
    life.alive('finding the position', cluster.settings.stallMsMax)
    let position: number
    try {
      position = await options.resumeAt(partition)
    } catch (error) {
      await this.#pauseAfter(error, 'finding the position')
      return null
    }
    // What the broker says of an offset that is no offset is not worth asking for.
    assertReadable(options.topic, partition, position, { start: 0, end: Number.MAX_SAFE_INTEGER })
    this.#handledTo = position
    return position
  }

  async #fetch(fromOffset: number): Promise<readonly LogRecord[]> {
    const { cluster, options, partition, purpose, life } = this.#deps
    const { fetchWaitMs, stallMsMax } = cluster.settings
    life.alive('a fetch', stallMsMax)
    try {
      const { records, end } = await fetchRecords(cluster, {
        topic: options.topic,
        partition,
        fromOffset,
        bytesMax: BATCH_BYTES_MAX,
        waitMs: fetchWaitMs,
        purpose,
      })
      this.#end = Math.max(this.#end, end)
      this.#oldestAt = records[0]?.appendedAt ?? null
      this.#refuseWithheld(fromOffset, records.length > 0 || end <= fromOffset)
      return records
    } catch (error) {
      if (this.#isStopping()) return []
      const isPassing = error instanceof KafkaFault || (error instanceof LogError && mayPass(error))
      if (!isPassing) throw error
      await this.#pauseAfter(error, 'a fetch')
      return []
    }
  }

  /** @throws KafkaFault while a broker says that there are records and gives none; LogError when it does so for long */
  #refuseWithheld(offset: number, isServed: boolean): void {
    const nowMs = performance.now()
    this.#withheldSinceMs = isServed ? null : (this.#withheldSinceMs ?? nowMs)
    if (this.#withheldSinceMs === null) return
    const { options, partition, cluster } = this.#deps
    const what = `${options.topic} partition ${partition}: offset ${offset} lies before the end and is not given`
    if (nowMs - this.#withheldSinceMs < cluster.settings.stallMsMax) {
      throw new KafkaFault(what, { isInDoubt: false })
    }
    throw new LogError('unavailable', `A consumer stands still. ${what}.`, { retryable: false })
  }

  async #deliver(records: readonly LogRecord[]): Promise<boolean> {
    const { options, partition, metrics, life, cluster } = this.#deps
    const { group, topic } = options
    life.alive('a handler', cluster.settings.handlerMsMax)
    this.#isHandling = true
    let failure: { readonly error: unknown } | null = null
    try {
      await options.onBatch({ topic, partition, records })
    } catch (error) {
      failure = { error }
    }
    this.#isHandling = false
    metrics.delivered({ group, topic, records: records.length, isHandled: failure === null })
    if (failure !== null) await this.#pauseAfter(failure.error, 'a consumer')
    return failure === null
  }

  #handled(next: number, following: LogRecord | undefined): void {
    this.#failuresInRow = 0
    this.#handledTo = next
    this.#oldestAt = following?.appendedAt ?? null
  }

  async #pauseAfter(error: unknown, what: string): Promise<void> {
    const { options, partition, logger, cluster, life } = this.#deps
    const pauseMs = Math.min(
      cluster.settings.retryPauseMs * 2 ** Math.min(this.#failuresInRow++, 16),
      RETRY_PAUSE_MS_MAX,
    )
    const { topic, group } = options
    logger.warn({ err: error, topic, partition, group, pauseMs }, `${what} failed and is repeated`)
    life.alive('a pause', pauseMs + cluster.settings.stallMsMax)
    await pause(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined) // a stop is the wake-up
  }
}

/** A topic that a broker does not know at this moment may be one whose news has not reached it. */
function mayPass(error: LogError): boolean {
  return error.retryable || error.code === 'unknownTopic'
}
