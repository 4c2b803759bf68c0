import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Clock } from '../../time/clock.ts'
import type { EventLog, LogConsumer, Position, TopicSpec } from '../../usage/event-log.ts'
import { noLogMetrics, type LogMetrics } from '../../usage/log-metrics.ts'
import { assertRecords, assertTopicSpec, BATCH_RECORDS_MAX } from '../bounds.ts'
import { assertReadable } from '../contiguity.ts'
import { closedError, partitionMismatch, unknownTopic } from '../faults.ts'
import { createConsumerGroups, type ConsumerGroups } from '../local/consumer-groups.ts'
import { silentLogger, type LogLogger } from '../ports.ts'
import { systemClock } from '../system-clock.ts'
import { lockDirectory, type DirectoryLock } from './directory-lock.ts'
import { createDiskRoom, type DiskRoom } from './disk-room.ts'
import { openPositionStore, type PositionStore } from './position-store.ts'
import { readTopic, topicFiles, writeTopic } from './topic-files.ts'
import { TopicStore } from './topic-store.ts'

/** Space that is left to the other engines on the disk: the log refuses before it is used up. */
const FREE_BYTES_MIN = 64 * 1024 * 1024

export interface EmbeddedLogOptions {
  /** Made where it is missing. One process at a time. */
  readonly directory: string
  readonly clock?: Clock
  readonly metrics?: LogMetrics
  readonly logger?: LogLogger
  /** The first pause after a consumer's handler failed. */
  readonly retryPauseMs?: number
  /** Appends are refused with `diskFull` when less is free. */
  readonly freeBytesMin?: number
}

/** A topic as it was copied: readable at least up to these offsets. */
interface CopiedTopic {
  readonly topic: string
  readonly ends: readonly Position[]
}

/** The log of one machine, which can also be copied while it is written. */
export interface EmbeddedEventLog extends EventLog {
  readonly kind: 'embedded'
  /**
   * Copies every topic into a new directory, from which `openEmbeddedLog` opens the same log: each with a prefix of
   * its records that holds all that were durable at the time of the call. Committed positions, which are hints, stay
   * behind. The files are not yet synced.
   */
  copyTo(directory: string): Promise<readonly CopiedTopic[]>
}

export function isEmbeddedLog(log: EventLog): log is EmbeddedEventLog {
  return log.kind === 'embedded'
}

/**
 * The log of one machine, in LMDB files under a directory. An append resolves after it was synced to disk.
 * @throws LogError `locked` when another process has the directory, `corrupt` when a file cannot be read
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedEventLog> {
  const directory = resolve(options.directory)
  mkdirSync(join(directory, 'topics'), { recursive: true, mode: 0o700 })
  const lock = lockDirectory(directory)
  const log = new EmbeddedLog(directory, options, lock)
  try {
    await log.openTopics()
    return log
  } catch (error) {
    await log.close()
    throw error
  }
}

class EmbeddedLog implements EmbeddedEventLog {
  readonly kind = 'embedded'
  readonly #directory: string
  readonly #lock: DirectoryLock
  readonly #disk: DiskRoom
  readonly #clock: Clock
  readonly #metrics: LogMetrics
  readonly #logger: LogLogger
  readonly #topics = new Map<string, TopicStore>()
  #positions: PositionStore | null = null
  readonly #groups: ConsumerGroups
  /** Topics are made one after another. */
  #making: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | null = null

  constructor(directory: string, options: EmbeddedLogOptions, lock: DirectoryLock) {
    this.#directory = directory
    this.#lock = lock
    this.#clock = options.clock ?? systemClock
    this.#metrics = options.metrics ?? noLogMetrics
    this.#logger = options.logger ?? silentLogger
    this.#disk = createDiskRoom(directory, options.freeBytesMin ?? FREE_BYTES_MIN)
    this.#groups = createConsumerGroups({
      clock: this.#clock,
      metrics: this.#metrics,
      logger: this.#logger,
      retryPauseMs: options.retryPauseMs ?? 200,
      commit: async (topic, group, positions) => this.#positions?.commit(topic.name, group, positions),
    })
    this.#metrics.observeLag(() => this.#groups.lag())
    this.#metrics.observeDisk(() => ({ usedBytes: bytesBelow(directory), freeBytes: this.#disk.freeBytes() }))
  }

  async openTopics(): Promise<void> {
    this.#positions = openPositionStore(join(this.#directory, 'positions.mdb'))
    for (const name of readdirSync(join(this.#directory, 'topics'))) {
      const spec = readTopic(this.#folder(name))
      if (spec !== null) await this.#open(spec)
    }
  }

  async ensureTopic(spec: TopicSpec): Promise<void> {
    assertTopicSpec(spec)
    const made = this.#making.then(() => this.#ensure(spec))
    this.#making = made.catch(() => undefined) // the one who asked is told
    await made
  }

  async append(name: string, records: Parameters<EventLog['append']>[1]): ReturnType<EventLog['append']> {
    const topic = this.#topic(name)
    assertRecords(name, topic.partitions, records)
    return records.length === 0 ? [] : topic.append(records)
  }

  async endOffsets(name: string): Promise<readonly Position[]> {
    const topic = this.#topic(name)
    return positions(topic, (partition) => topic.end(partition))
  }

  async startOffsets(name: string): Promise<readonly Position[]> {
    const topic = this.#topic(name)
    return positions(topic, (partition) => topic.start(partition))
  }

  async read(
    name: string,
    partition: number,
    fromOffset: number,
    maxBytes: number,
  ): ReturnType<EventLog['read']> {
    const topic = this.#topic(name)
    const end = topic.end(partition)
    assertReadable(name, partition, fromOffset, { start: topic.start(partition), end })
    return fromOffset === end ? [] : topic.read(partition, fromOffset, maxBytes, BATCH_RECORDS_MAX)
  }

  async consume(options: Parameters<EventLog['consume']>[0]): Promise<LogConsumer> {
    return this.#groups.join(this.#topic(options.topic), options)
  }

  async committed(name: string, group: string): Promise<readonly Position[]> {
    this.#topic(name)
    return this.#positions?.of(name, group) ?? []
  }

  async copyTo(directory: string): Promise<readonly CopiedTopic[]> {
    const copied: CopiedTopic[] = []
    for (const [name, topic] of this.#topics) {
      const spec = readTopic(this.#folder(name))
      if (spec === null) throw unknownTopic(name)
      const folder = join(directory, 'topics', name)
      writeTopic(folder, spec)
      const ends = await topic.copyTo(folder)
      copied.push({ topic: name, ends: ends.map((offset, partition) => ({ partition, offset })) })
    }
    return copied
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#making
    await this.#groups.stopAll()
    await Promise.all([...this.#topics.values()].map((topic) => topic.close()))
    await this.#positions?.close()
    this.#lock.release()
  }

  async #ensure(spec: TopicSpec): Promise<void> {
    if (this.#closing !== null) throw closedError()
    const existing = this.#topics.get(spec.name)
    if (existing !== undefined && existing.partitions !== spec.partitions) {
      throw partitionMismatch(spec, existing.partitions)
    }
    const shortage = existing === undefined ? this.#disk.shortage(0) : null
    if (shortage !== null) throw shortage
    writeTopic(this.#folder(spec.name), spec)
    if (existing === undefined) await this.#open(spec)
    else await existing.retain(spec.retentionMs)
  }

  async #open(spec: TopicSpec): Promise<void> {
    const files = topicFiles(this.#folder(spec.name))
    const deps = { clock: this.#clock, metrics: this.#metrics, logger: this.#logger, disk: this.#disk }
    this.#topics.set(spec.name, await TopicStore.open(spec, files, deps))
  }

  #folder(name: string): string {
    return join(this.#directory, 'topics', name)
  }

  #topic(name: string): TopicStore {
    if (this.#closing !== null) throw closedError()
    const topic = this.#topics.get(name)
    if (topic === undefined) throw unknownTopic(name)
    return topic
  }
}

function positions(topic: TopicStore, offsetOf: (partition: number) => number): readonly Position[] {
  return Array.from({ length: topic.partitions }, (_, partition) => ({
    partition,
    offset: offsetOf(partition),
  }))
}

function bytesBelow(directory: string): number {
  if (!existsSync(directory)) return 0
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}
