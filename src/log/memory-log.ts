import type { Clock } from '../time/clock.ts'
import type { Instant } from '../time/instant.ts'
import type { EventLog, LogRecord, Position } from '../usage/event-log.ts'
import { noLogMetrics, type LogMetrics } from '../usage/log-metrics.ts'
import { assertRecords, assertTopicSpec, BATCH_RECORDS_MAX } from './bounds.ts'
import { mergePositions } from './committed-positions.ts'
import { assertReadable } from './contiguity.ts'
import { closedError, partitionMismatch, unknownTopic } from './faults.ts'
import { createConsumerGroups } from './local/consumer-groups.ts'
import { AppendSignal, type LocalTopic } from './local/local-topic.ts'
import { silentLogger, type LogLogger } from './ports.ts'
import { systemClock } from './system-clock.ts'

export interface MemoryLogOptions {
  readonly clock?: Clock
  readonly metrics?: LogMetrics
  readonly logger?: LogLogger
  /** The first pause after a consumer's handler failed. */
  readonly retryPauseMs?: number
}

/** A log that is gone with the process: for tests of what stands on the port, and for dry runs. Nothing is durable. */
export function createMemoryLog(options: MemoryLogOptions = {}): EventLog {
  const { clock = systemClock, metrics = noLogMetrics, logger = silentLogger, retryPauseMs = 200 } = options
  const topics = new Map<string, MemoryTopic>()
  const committed = new Map<string, readonly Position[]>()
  const key = (topic: string, group: string): string => `${topic} ${group}`
  let isClosed = false
  const groups = createConsumerGroups({
    clock,
    metrics,
    logger,
    retryPauseMs,
    commit: async (topic, group, positions) => {
      const before = committed.get(key(topic.name, group)) ?? []
      committed.set(key(topic.name, group), mergePositions(before, positions))
    },
  })
  metrics.observeLag(() => groups.lag())

  function topicOf(name: string): MemoryTopic {
    if (isClosed) throw closedError()
    const topic = topics.get(name)
    if (topic === undefined) throw unknownTopic(name)
    return topic
  }

  return {
    kind: 'memory',
    async ensureTopic(spec) {
      if (isClosed) throw closedError()
      assertTopicSpec(spec)
      const existing = topics.get(spec.name)
      if (existing === undefined) topics.set(spec.name, new MemoryTopic(spec.name, spec.partitions))
      else if (existing.partitions !== spec.partitions) throw partitionMismatch(spec, existing.partitions)
    },
    async append(name, records) {
      const startedMs = performance.now()
      const topic = topicOf(name)
      assertRecords(name, topic.partitions, records)
      const at = clock.now()
      const outcomes = records.map(({ partition, value }) => ({
        kind: 'appended' as const,
        partition,
        offset: topic.append(partition, value, at),
      }))
      for (const partition of new Set(records.map((record) => record.partition)))
        topic.signal.raise(partition)
      metrics.appended({
        topic: name,
        seconds: (performance.now() - startedMs) / 1000,
        records: records.length,
        bytes: records.reduce((sum, { value }) => sum + value.length, 0),
        failedRecords: 0,
      })
      return outcomes
    },
    async endOffsets(name) {
      const topic = topicOf(name)
      return topic.positions((partition) => topic.end(partition))
    },
    async startOffsets(name) {
      return topicOf(name).positions(() => 0)
    },
    async read(name, partition, fromOffset, maxBytes) {
      const topic = topicOf(name)
      assertReadable(name, partition, fromOffset, { start: 0, end: topic.end(partition) })
      return topic.read(partition, fromOffset, maxBytes, BATCH_RECORDS_MAX)
    },
    async consume(consumeOptions) {
      return groups.join(topicOf(consumeOptions.topic), consumeOptions)
    },
    async committed(name, group) {
      topicOf(name)
      return committed.get(key(name, group)) ?? []
    },
    async close() {
      isClosed = true
      await groups.stopAll()
    },
  }
}

class MemoryTopic implements LocalTopic {
  readonly name: string
  readonly partitions: number
  readonly signal = new AppendSignal()
  readonly #records: LogRecord[][]

  constructor(name: string, partitions: number) {
    this.name = name
    this.partitions = partitions
    this.#records = Array.from({ length: partitions }, () => [])
  }

  append(partition: number, value: Uint8Array, appendedAt: Instant): number {
    const records = this.#of(partition)
    records.push({ offset: records.length, value: Uint8Array.from(value), appendedAt })
    return records.length - 1
  }

  start(): number {
    return 0
  }

  end(partition: number): number {
    return this.#of(partition).length
  }

  read(partition: number, fromOffset: number, bytesMax: number, recordsMax: number): readonly LogRecord[] {
    const records = this.#of(partition)
    let bytes = 0
    let to = fromOffset
    while (to < records.length && to - fromOffset < recordsMax && (bytes < bytesMax || to === fromOffset)) {
      bytes += records[to]?.value.length ?? 0
      to++
    }
    return records.slice(fromOffset, to)
  }

  onNextAppend(partition: number, wake: () => void): () => void {
    return this.signal.onNextAppend(partition, wake)
  }

  positions(offsetOf: (partition: number) => number): readonly Position[] {
    return this.#records.map((_, partition) => ({ partition, offset: offsetOf(partition) }))
  }

  #of(partition: number): LogRecord[] {
    const records = this.#records[partition]
    if (records === undefined) throw new RangeError(`${this.name} has no partition ${partition}`)
    return records
  }
}
