import type { Clock } from '../../time/clock.ts'
import { LogError, type ConsumeOptions, type LogConsumer } from '../../usage/event-log.ts'
import type { ConsumerLag, LogMetrics } from '../../usage/log-metrics.ts'
import { closedError } from '../faults.ts'
import type { LogLogger } from '../ports.ts'
import type { Cluster } from './cluster.ts'
import { GroupMember } from './group-member.ts'
import { messageOf } from './kafka-fault.ts'
import { edgeOffsets } from './offsets.ts'
import { PartitionConsumer } from './partition-consumer.ts'
import { Watchdog } from './watchdog.ts'

/** How often the end of a partition is asked for while its handler runs and nobody fetches. */
const LAG_INTERVAL_MS = 5000
let consumersMade = 0

export interface GroupConsumerDeps {
  readonly cluster: Cluster
  readonly options: ConsumeOptions
  readonly clock: Clock
  readonly metrics: LogMetrics
  readonly logger: LogLogger
  readonly onStopped: (consumer: GroupConsumer) => void
}

interface Running {
  readonly consumer: PartitionConsumer
  readonly ended: Promise<void>
}

/** A consumer of this process: a member of the group, and one loop for each partition that it is assigned. */
export class GroupConsumer implements LogConsumer {
  readonly #deps: GroupConsumerDeps
  readonly #purpose = `consumer ${++consumersMade}`
  readonly #watchdog: Watchdog
  readonly #member: GroupMember
  readonly #partitions = new Map<number, Running>()
  readonly #lagTimer: NodeJS.Timeout
  #memberEnded: Promise<void> = Promise.resolve()
  #onFirstAssignment: (error: Error | null) => void = () => undefined
  #isAskingEnds = false
  #stopping: Promise<void> | null = null
  #isFatal = false
  #hasStarted = false

  constructor(deps: GroupConsumerDeps) {
    this.#deps = deps
    const { cluster, options, logger } = deps
    const { group, topic } = options
    const { stallMsMax, handlerMsMax } = cluster.settings
    this.#watchdog = new Watchdog(Math.min(stallMsMax, handlerMsMax) / 4, (error) => this.#fatal(error))
    this.#member = new GroupMember({
      cluster,
      topic,
      group,
      logger,
      purpose: this.#purpose,
      life: this.#watchdog.watch(`group ${group}`),
      onAssigned: (partitions) => this.#assigned(partitions),
      onRevoked: () => this.#revoke(),
    })
    this.#lagTimer = setInterval(() => void this.#askEnds(), LAG_INTERVAL_MS)
    this.#lagTimer.unref()
  }

  /** Resolves when the group has handed its partitions out. @throws LogError `closed` when it is stopped before */
  async start(): Promise<void> {
    const assigned = new Promise<void>((resolve, reject) => {
      this.#onFirstAssignment = (error) => (error === null ? resolve() : reject(error))
    })
    this.#memberEnded = this.#member.run().catch((error: unknown) => this.#fatal(error))
    await assigned
    this.#hasStarted = true
  }

  assigned(): readonly number[] {
    return [...this.#partitions.keys()].sort((a, b) => a - b)
  }

  async commit(positions: Parameters<LogConsumer['commit']>[0]): Promise<void> {
    await this.#member.commit(positions.filter(({ partition }) => this.#partitions.has(partition)))
  }

  lag(): readonly ConsumerLag[] {
    return [...this.#partitions.values()].map(({ consumer }) => consumer.lag())
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#onFirstAssignment(closedError())
    // Heartbeats go on until the handlers have ended: nobody else is given their partitions meanwhile.
    if (!this.#isFatal) await this.#revoke()
    this.#member.stop()
    this.#deps.cluster.drop(this.#purpose)
    await this.#memberEnded
    await this.#member.leave()
    this.#partitions.clear()
    this.#watchdog.stop()
    clearInterval(this.#lagTimer)
    for (const purpose of [this.#purpose, `${this.#purpose} commit`]) this.#deps.cluster.drop(purpose)
    this.#deps.onStopped(this)
  }

  #assigned(partitions: readonly number[]): void {
    if (this.#stopping !== null || this.#isFatal) return
    const { cluster, options, clock, metrics, logger } = this.#deps
    for (const partition of partitions) {
      const consumer = new PartitionConsumer({
        cluster,
        partition,
        options,
        clock,
        metrics,
        logger,
        purpose: `${this.#purpose} partition ${partition}`,
        life: this.#watchdog.watch(`${options.topic} partition ${partition}, group ${options.group}`),
      })
      const ended = consumer.run().catch((error: unknown) => this.#fatal(error))
      this.#partitions.set(partition, { consumer, ended })
    }
    metrics.rebalanced(options.group)
    this.#onFirstAssignment(null)
  }

  /** Ends the loops; resolves when their handlers have ended. From the first moment on nothing is committed for them. */
  async #revoke(): Promise<void> {
    const running = [...this.#partitions.values()]
    for (const { consumer } of running) consumer.stop()
    await Promise.all(running.map(({ ended }) => ended))
    for (const [partition, each] of this.#partitions) {
      if (running.includes(each)) this.#partitions.delete(partition)
    }
  }

  /**
   * Leaves the group without waiting for a handler, which may be what does not end, and tells the one who consumes,
   * once: through `onFatal`, or by the rejection of `start` when that has not resolved yet.
   */
  #fatal(error: unknown): void {
    const { options, logger } = this.#deps
    const { topic, group } = options
    const fault = error instanceof Error ? error : new Error(String(error))
    if (this.#isFatal || this.#stopping !== null) {
      logger.warn({ err: fault, topic, group }, 'a fault of a consumer that was stopping already')
      return
    }
    this.#isFatal = true
    logger.error({ err: fault, topic, group }, 'a consumer has stopped')
    for (const { consumer } of this.#partitions.values()) consumer.stop()
    this.#onFirstAssignment(fault)
    void this.stop()
    if (this.#hasStarted) options.onFatal(fault)
  }

  async #askEnds(): Promise<void> {
    const handling = [...this.#partitions].filter(([, { consumer }]) => consumer.isHandling)
    if (this.#isAskingEnds || handling.length === 0) return
    this.#isAskingEnds = true
    const { cluster, options, logger } = this.#deps
    try {
      const ends = await edgeOffsets(cluster, options.topic, 'end')
      for (const [partition, { consumer }] of handling) consumer.sawEnd(ends[partition]?.offset ?? 0)
    } catch (error) {
      if (!(error instanceof LogError)) throw error
      logger.warn({ topic: options.topic, fault: messageOf(error) }, 'how far the log has grown is not known')
    }
    this.#isAskingEnds = false
  }
}
