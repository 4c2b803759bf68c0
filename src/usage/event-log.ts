import type { Instant } from '../time/instant.ts'

/** A topic of the log. Partitions are fixed for ever; growing them means a new topic and a new epoch. */
export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  /** Null: kept for ever. */
  readonly retentionMs: number | null
}

export interface AppendRecord {
  readonly partition: number
  readonly value: Uint8Array
}

/** What became of one record. `appended` means durable: fsynced, or acknowledged by all in-sync replicas. */
export type AppendOutcome =
  | { readonly kind: 'appended'; readonly partition: number; readonly offset: number }
  | {
      readonly kind: 'failed'
      readonly partition: number
      readonly reason: string
      readonly indefinite: boolean
    }

export interface LogRecord {
  readonly offset: number
  readonly value: Uint8Array
  /** When the log appended it, by the log's clock. */
  readonly appendedAt: Instant
}

/** Records of one partition, in order, without a hole: `records[i].offset === records[0].offset + i`. */
export interface LogBatch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly LogRecord[]
}

export interface Position {
  readonly partition: number
  /** The next offset to be read. */
  readonly offset: number
}

export interface ConsumeOptions {
  readonly topic: string
  /** Consumers of one group share the topic's partitions. */
  readonly group: string
  /** Asked for every partition when it is assigned: where to go on. Committed positions are a hint for lag tools only. */
  readonly resumeAt: (partition: number) => Promise<number>
  /**
   * Called with batches of a partition one after another; the next batch of that partition waits for the
   * promise. A rejection delivers from `resumeAt` again after a pause; nothing is ever skipped.
   */
  readonly onBatch: (batch: LogBatch) => Promise<void>
  /** A fault that reading again cannot mend (a hole in the offsets, a position outside the log). The consumer has stopped. */
  readonly onFatal: (error: Error) => void
}

export interface LogConsumer {
  assigned(): readonly number[]
  /** Remembers positions for lag tools. Only for partitions that are still assigned; others are ignored. */
  commit(positions: readonly Position[]): Promise<void>
  /** Stops fetching, waits for the handlers that run, leaves the group. */
  stop(): Promise<void>
}

/**
 * The durable log. Offsets of a partition start at 0 and have no holes. One conformance suite
 * (test/conformance/event-log.ts) holds every implementation to this.
 */
export interface EventLog {
  readonly kind: 'kafka' | 'embedded' | 'memory'
  /** Creates the topic or checks that the existing one has the same number of partitions. @throws LogError */
  ensureTopic(spec: TopicSpec): Promise<void>
  /**
   * Appends the records, in order within a partition, and resolves when each is durable or has failed;
   * outcomes stand at the index of their record. Rejects only when nothing was attempted.
   */
  append(topic: string, records: readonly AppendRecord[]): Promise<readonly AppendOutcome[]>
  /** The next offset of every partition: `[{partition, offset}]`, all partitions, ordered. Durable records only. */
  endOffsets(topic: string): Promise<readonly Position[]>
  /** The oldest offset that can still be read, per partition. */
  startOffsets(topic: string): Promise<readonly Position[]>
  /** Up to about `maxBytes` of records from an offset on (at least one where there is one); empty at the end. */
  read(topic: string, partition: number, fromOffset: number, maxBytes: number): Promise<readonly LogRecord[]>
  consume(options: ConsumeOptions): Promise<LogConsumer>
  committed(topic: string, group: string): Promise<readonly Position[]>
  close(): Promise<void>
}

export type LogErrorCode =
  | 'unavailable'
  | 'unknownTopic'
  | 'partitionMismatch'
  | 'diskFull'
  | 'locked'
  | 'outOfRange'
  | 'gap'
  | 'unsafeSettings'
  | 'closed'
  | 'corrupt'

/** A fault of the log. `detail` says what to do about it, in words for an operator. */
export class LogError extends Error {
  readonly code: LogErrorCode
  readonly retryable: boolean
  constructor(
    code: LogErrorCode,
    detail: string,
    options: { readonly retryable: boolean; readonly cause?: unknown },
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'LogError'
    this.code = code
    this.retryable = options.retryable
  }
}
