import type { Clock } from '../../time/clock.ts'
import type { EventLog, LogConsumer, Position } from '../../usage/event-log.ts'
import { noLogMetrics, type LogMetrics } from '../../usage/log-metrics.ts'
import { assertRecords, assertTopicSpec } from '../bounds.ts'
import { closedError } from '../faults.ts'
import { silentLogger, type LogLogger } from '../ports.ts'
import { systemClock } from '../system-clock.ts'
import { Appender } from './appender.ts'
import { Cluster } from './cluster.ts'
import { committedPositions } from './committed.ts'
import { readRange } from './fetch.ts'
import { GroupConsumer } from './group-consumer.ts'
import { inspectCluster } from './inspect-broker.ts'
import { edgeOffsets } from './offsets.ts'
import { KAFKA_LOG_SETTINGS, type KafkaLogSettings } from './settings.ts'
import { ensureTopic, refuseUnsafe } from './topics.ts'

export interface KafkaLogOptions {
  /** host:port of some of the brokers; the others are learnt from them. */
  readonly brokers: readonly string[]
  readonly clientId: string
  /** Replicas of topics that are made. With one, the topic is made so that the broker syncs before it acknowledges. */
  readonly replicationFactor: number
  readonly clock?: Clock
  readonly metrics?: LogMetrics
  readonly logger?: LogLogger
  readonly settings?: Partial<KafkaLogSettings>
}

/**
 * The log on Kafka. An append resolves when all in-sync replicas have it.
 * @throws LogError `unavailable` when no broker answers, `unsafeSettings` when the cluster cannot keep the log's promises
 */
export async function connectKafkaLog(options: KafkaLogOptions): Promise<EventLog> {
  const { brokers, clientId, replicationFactor, logger = silentLogger } = options
  const cluster = new Cluster({ brokers, clientId, settings: { ...KAFKA_LOG_SETTINGS, ...options.settings } })
  try {
    refuseUnsafe(await inspectCluster(cluster, replicationFactor), logger)
    return new KafkaLog(cluster, options)
  } catch (error) {
    cluster.close()
    throw error
  }
}

class KafkaLog implements EventLog {
  readonly kind = 'kafka'
  readonly #cluster: Cluster
  readonly #appender: Appender
  readonly #clock: Clock
  readonly #metrics: LogMetrics
  readonly #logger: LogLogger
  readonly #replicationFactor: number
  readonly #consumers = new Set<GroupConsumer>()
  #closing: Promise<void> | null = null

  constructor(cluster: Cluster, options: KafkaLogOptions) {
    this.#cluster = cluster
    this.#clock = options.clock ?? systemClock
    this.#metrics = options.metrics ?? noLogMetrics
    this.#logger = options.logger ?? silentLogger
    this.#replicationFactor = options.replicationFactor
    this.#appender = new Appender({ cluster, metrics: this.#metrics, logger: this.#logger })
    this.#metrics.observeLag(() => [...this.#consumers].flatMap((consumer) => consumer.lag()))
  }

  async ensureTopic(spec: Parameters<EventLog['ensureTopic']>[0]): Promise<void> {
    this.#refuseClosed()
    assertTopicSpec(spec)
    await ensureTopic(this.#cluster, spec, this.#replicationFactor, this.#logger)
  }

  async append(topic: string, records: Parameters<EventLog['append']>[1]): ReturnType<EventLog['append']> {
    this.#refuseClosed()
    assertRecords(topic, await this.#cluster.partitions(topic), records)
    return records.length === 0 ? [] : this.#appender.append(topic, records)
  }

  async endOffsets(topic: string): Promise<readonly Position[]> {
    this.#refuseClosed()
    return edgeOffsets(this.#cluster, topic, 'end')
  }

  async startOffsets(topic: string): Promise<readonly Position[]> {
    this.#refuseClosed()
    return edgeOffsets(this.#cluster, topic, 'start')
  }

  async read(
    topic: string,
    partition: number,
    fromOffset: number,
    maxBytes: number,
  ): ReturnType<EventLog['read']> {
    this.#refuseClosed()
    return readRange(this.#cluster, topic, partition, fromOffset, maxBytes)
  }

  async consume(options: Parameters<EventLog['consume']>[0]): Promise<LogConsumer> {
    this.#refuseClosed()
    await this.#cluster.partitions(options.topic)
    const consumer = new GroupConsumer({
      cluster: this.#cluster,
      options,
      clock: this.#clock,
      metrics: this.#metrics,
      logger: this.#logger,
      onStopped: (stopped) => this.#consumers.delete(stopped),
    })
    this.#consumers.add(consumer)
    await consumer.start()
    return consumer
  }

  async committed(topic: string, group: string): Promise<readonly Position[]> {
    this.#refuseClosed()
    return committedPositions(this.#cluster, topic, group)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.stop()))
    await this.#appender.idle()
    this.#cluster.close()
  }

  #refuseClosed(): void {
    if (this.#closing !== null) throw closedError()
  }
}
