import { LogError, type AppendOutcome, type AppendRecord } from '../../usage/event-log.ts'
import type { LogMetrics } from '../../usage/log-metrics.ts'
import type { LogLogger } from '../ports.ts'
import { settlePart, splitAppend, type AppendPart, type PendingAppend } from './append-part.ts'
import type { Cluster } from './cluster.ts'
import { brokerFault, KafkaFault, messageOf } from './kafka-fault.ts'
import { PartitionQueue } from './partition-queue.ts'
import { PRODUCE_BYTES_MAX } from './settings.ts'

/** The broker gives up waiting for replicas a little before we give up waiting for the broker. */
const BROKER_MARGIN_MS = 500
const UNKNOWN = -1

export interface AppenderDeps {
  readonly cluster: Cluster
  readonly metrics: LogMetrics
  readonly logger: LogLogger
}

/**
 * Appends with one request in flight per broker, which carries whatever waits for its partitions, and one batch in
 * flight per partition, so that the order within a partition stands. Not idempotent in Kafka's sense: kafkajs loses
 * acknowledged records in that mode, and a record that is there twice is found by its events' identities.
 */
export class Appender {
  readonly #deps: AppenderDeps
  readonly #queues = new Map<string, PartitionQueue>()
  readonly #busyBrokers = new Set<number>()
  #pendingBytes = 0
  #unsettled = 0
  #onIdle: (() => void)[] = []
  #isPumping = false
  #isPumpWanted = false

  constructor(deps: AppenderDeps) {
    this.#deps = deps
  }

  /** @throws LogError `unavailable` when too much waits already: nothing was attempted */
  async append(topic: string, records: readonly AppendRecord[]): Promise<readonly AppendOutcome[]> {
    const bytes = records.reduce((sum, { value }) => sum + value.length, 0)
    const { pendingBytesMax } = this.#deps.cluster.settings
    if (this.#pendingBytes + bytes > pendingBytesMax) {
      throw new LogError(
        'unavailable',
        `${this.#pendingBytes} bytes wait to be acknowledged by Kafka, which is slower than what comes in; at most ${pendingBytesMax} may wait.`,
        { retryable: true },
      )
    }
    const startedMs = performance.now()
    this.#pendingBytes += bytes
    this.#unsettled++
    const outcomes = await new Promise<readonly AppendOutcome[]>((resolve) => {
      const pending: PendingAppend = {
        topic,
        outcomes: new Array<AppendOutcome>(records.length),
        left: records.length,
        resolve,
      }
      for (const part of splitAppend(pending, records)) this.#queueOf(topic, part.partition).add(part)
      this.#pump()
    })
    this.#pendingBytes -= bytes
    if (--this.#unsettled === 0) for (const resolve of this.#onIdle.splice(0)) resolve()
    this.#deps.metrics.appended({
      topic,
      seconds: (performance.now() - startedMs) / 1000,
      records: records.length,
      bytes,
      failedRecords: outcomes.filter(({ kind }) => kind === 'failed').length,
    })
    return outcomes
  }

  /** Resolves when every append has been answered; each is within the time that sending again may take. */
  async idle(): Promise<void> {
    if (this.#unsettled > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  #queueOf(topic: string, partition: number): PartitionQueue {
    const key = `${topic} ${partition}`
    let queue = this.#queues.get(key)
    if (queue === undefined) {
      queue = new PartitionQueue(topic, partition)
      this.#queues.set(key, queue)
    }
    return queue
  }

  /** Sends to every broker that is not busy what waits for it. One run at a time; a call during a run makes one more. */
  #pump(): void {
    this.#isPumpWanted = true
    if (this.#isPumping) return
    this.#isPumping = true
    void this.#pumpWhileWanted()
  }

  async #pumpWhileWanted(): Promise<void> {
    while (this.#isPumpWanted) {
      this.#isPumpWanted = false
      const byLeader = new Map<number, PartitionQueue[]>()
      for (const queue of this.#queues.values()) {
        if (!queue.isReady) continue
        const startedMs = performance.now()
        try {
          const leader = await this.#deps.cluster.leader(queue.topic, queue.partition)
          byLeader.set(leader, [...(byLeader.get(leader) ?? []), queue])
        } catch (error) {
          queue.take(startedMs)
          this.#failed(queue, notSent(error))
        }
      }
      for (const [leader, queues] of byLeader) {
        if (!this.#busyBrokers.has(leader)) void this.#send(leader, queues)
      }
    }
    this.#isPumping = false
  }

  async #send(leader: number, queues: readonly PartitionQueue[]): Promise<void> {
    this.#busyBrokers.add(leader)
    const sent: PartitionQueue[] = []
    let bytes = 0
    for (const queue of queues) {
      if (bytes > PRODUCE_BYTES_MAX) break
      bytes += queue.take(performance.now())
      sent.push(queue)
    }
    try {
      await this.#produce(leader, sent)
    } catch (error) {
      for (const queue of sent) this.#failed(queue, error)
    }
    this.#busyBrokers.delete(leader)
    this.#pump()
  }

  async #produce(leader: number, sent: readonly PartitionQueue[]): Promise<void> {
    const { cluster } = this.#deps
    const connection = await cluster.connection(leader, 'append')
    const byTopic = Map.groupBy(sent, ({ topic }) => topic)
    const answer = await connection.call('Produce', {
      acks: -1,
      timeout: Math.max(BROKER_MARGIN_MS, cluster.settings.requestMsMax - BROKER_MARGIN_MS),
      topicData: [...byTopic].map(([topic, queues]) => ({
        topic,
        partitions: queues.map(({ partition, messages }) => ({ partition, firstSequence: 0, messages })),
      })),
    })
    const answered = new Map(
      answer.topics.flatMap(({ topicName, partitions }) =>
        partitions.map((each) => [`${topicName} ${each.partition}`, each]),
      ),
    )
    for (const queue of sent) {
      const { topic, partition } = queue
      const got = answered.get(`${topic} ${partition}`)
      const baseOffset = Number(got?.baseOffset)
      if (got === undefined) this.#failed(queue, brokerFault('no answer for the partition', -1))
      else if (got.errorCode !== 0) this.#failed(queue, brokerFault('append', got.errorCode))
      else if (!Number.isSafeInteger(baseOffset) || baseOffset < 0) {
        this.#failed(queue, brokerFault(`append was acknowledged at ${got.baseOffset}`, -1))
      } else queue.appended(baseOffset)
    }
  }

  /** Sends the batch of the queue again, or gives up on it and on all that waits behind it. */
  #failed(queue: PartitionQueue, error: unknown): void {
    const { cluster, metrics, logger } = this.#deps
    const fault =
      error instanceof KafkaFault
        ? error
        : new KafkaFault(messageOf(error), { errorCode: -1, isInDoubt: true, cause: error })
    if (fault.isStale) cluster.forget(queue.topic)
    const nowMs = performance.now()
    const { topic, partition } = queue
    const pauseMs = fault.isPassing ? queue.pause(nowMs, cluster.settings.appendRetryMsMax, fault) : null
    if (pauseMs !== null) {
      metrics.appendRetried(topic, queue.recordsInFlight)
      setTimeout(() => {
        queue.resume()
        this.#pump()
      }, pauseMs)
      return
    }
    const given = queue.giveUp(fault)
    logger.warn({ topic, partition, records: given.records, fault: fault.message }, 'an append failed')
    for (const part of given.parts) failPart(part, fault, given.isInDoubt(part))
  }
}

/** Whom to send it to is not known, so it is certainly not on the log. */
function notSent(error: unknown): KafkaFault {
  return new KafkaFault(messageOf(error), {
    ...(error instanceof LogError && !error.retryable ? { errorCode: UNKNOWN } : {}),
    isInDoubt: false,
    cause: error,
  })
}

function failPart(part: AppendPart, fault: KafkaFault, indefinite: boolean): void {
  const { partition } = part
  settlePart(part, () => ({ kind: 'failed', partition, reason: fault.message, indefinite }))
}
