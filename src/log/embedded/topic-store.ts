import type { Clock } from '../../time/clock.ts'
import {
  LogError,
  type AppendOutcome,
  type AppendRecord,
  type LogRecord,
  type TopicSpec,
} from '../../usage/event-log.ts'
import type { LogMetrics } from '../../usage/log-metrics.ts'
import { closedError } from '../faults.ts'
import { AppendSignal, type LocalTopic } from '../local/local-topic.ts'
import type { LogLogger } from '../ports.ts'
import { DayEnvironments } from './day-environments.ts'
import type { DiskRoom } from './disk-room.ts'
import type { StoredEntry } from './environment.ts'
import type { TopicFiles } from './topic-files.ts'

/** Bytes of one transaction; what waits beyond goes into the next one. */
const ROUND_BYTES_MAX = 32 * 1024 * 1024

interface Waiting {
  readonly records: readonly AppendRecord[]
  readonly resolve: (outcomes: readonly AppendOutcome[]) => void
  readonly reject: (error: Error) => void
}

export interface TopicStoreDeps {
  readonly clock: Clock
  readonly metrics: LogMetrics
  readonly logger: LogLogger
  readonly disk: DiskRoom
}

/**
 * A topic on disk with its one writer. Appends that wait at the same time become one transaction (group commit);
 * the next transaction begins when the one before is durable.
 */
export class TopicStore implements LocalTopic {
  readonly name: string
  readonly partitions: number
  readonly #deps: TopicStoreDeps
  readonly #environments: DayEnvironments
  readonly #signal = new AppendSignal()
  /** The next offsets, of durable records only: readers never see more. */
  readonly #ends: number[]
  #retentionMs: number | null
  #waiting: Waiting[] = []
  #writing: Promise<void> | null = null
  #isClosed = false
  /** Set once a write has failed in a way that leaves open what is on the disk. */
  #broken: LogError | null = null

  private constructor(spec: TopicSpec, environments: DayEnvironments, deps: TopicStoreDeps) {
    this.name = spec.name
    this.partitions = spec.partitions
    this.#retentionMs = spec.retentionMs
    this.#environments = environments
    this.#deps = deps
    this.#ends = environments.newest.storedEnds()
  }

  static async open(spec: TopicSpec, files: TopicFiles, deps: TopicStoreDeps): Promise<TopicStore> {
    const environments = await DayEnvironments.open(files, spec.partitions, deps.clock.now())
    const store = new TopicStore(spec, environments, deps)
    await store.#expire()
    return store
  }

  async retain(retentionMs: number | null): Promise<void> {
    this.#retentionMs = retentionMs
    await this.#expire()
  }

  start(partition: number): number {
    return this.#environments.start(partition)
  }

  end(partition: number): number {
    const end = this.#ends[partition]
    if (end === undefined) throw new RangeError(`${this.name} has no partition ${partition}`)
    return end
  }

  read(partition: number, fromOffset: number, bytesMax: number, recordsMax: number): readonly LogRecord[] {
    const { environment, nextBase } = this.#environments.holding(partition, fromOffset)
    const end = Math.min(nextBase ?? Infinity, this.end(partition), fromOffset + recordsMax)
    const records: LogRecord[] = []
    let bytes = 0
    for (let offset = fromOffset; offset < end && (bytes < bytesMax || bytes === 0); offset++) {
      const stored = environment.read(partition, offset)
      if (stored === undefined) throw missing(this.name, partition, offset)
      records.push({ offset, ...stored })
      bytes += stored.value.length
    }
    return records
  }

  onNextAppend(partition: number, wake: () => void): () => void {
    return this.#signal.onNextAppend(partition, wake)
  }

  append(records: readonly AppendRecord[]): Promise<readonly AppendOutcome[]> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw closedError()
      this.#waiting.push({ records, resolve, reject })
      // Appends of the same turn of the event loop share a transaction.
      this.#writing ??= Promise.resolve().then(() => this.#writeAll())
    })
  }

  /** Copies the files into the folder, complete at least up to the ends at the time of the call, which it answers. */
  async copyTo(folder: string): Promise<readonly number[]> {
    const ends = [...this.#ends]
    await this.#environments.copyTo(folder)
    return ends
  }

  /** No further append; resolves when those that were taken have settled. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#writing
    await this.#environments.close()
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#writeRound(this.#nextRound())
    this.#writing = null
  }

  #nextRound(): readonly Waiting[] {
    let bytes = 0
    let count = 0
    for (const { records } of this.#waiting) {
      bytes += byteLength(records)
      if (count > 0 && bytes > ROUND_BYTES_MAX) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  async #writeRound(round: readonly Waiting[]): Promise<void> {
    const { clock, metrics, logger, disk } = this.#deps
    const startedMs = performance.now()
    const records = round.flatMap((waiting) => waiting.records)
    const bytes = byteLength(records)
    const refusal = this.#broken ?? disk.shortage(bytes)
    if (refusal !== null) {
      for (const waiting of round) waiting.reject(refusal)
      return
    }
    const now = clock.now()
    const ends = [...this.#ends]
    const entries: StoredEntry[] = records.map(({ partition, value }) => {
      const offset = ends[partition] ?? 0
      ends[partition] = offset + 1
      return { partition, offset, value }
    })
    let failure: { readonly reason: string; readonly indefinite: boolean } | null = null
    try {
      if (this.#retentionMs !== null) await this.#rotate()
      await this.#environments.newest.append(entries, now)
    } catch (error) {
      const { isFull, text } = disk.explain(error, bytes)
      logger.error({ err: error, topic: this.name, bytes }, `an append failed: ${text}`)
      failure = { reason: text, indefinite: !isFull }
      if (!isFull) this.#broken = broken(this.name, text)
    }
    metrics.appended({
      topic: this.name,
      seconds: (performance.now() - startedMs) / 1000,
      records: records.length,
      bytes,
      failedRecords: failure === null ? 0 : records.length,
    })
    if (failure === null) this.#publish(ends)
    let next = 0
    for (const waiting of round) {
      const own = entries.slice(next, next + waiting.records.length)
      next += waiting.records.length
      waiting.resolve(
        own.map(({ partition, offset }) =>
          failure === null
            ? { kind: 'appended', partition, offset }
            : { kind: 'failed', partition, ...failure },
        ),
      )
    }
  }

  #publish(ends: readonly number[]): void {
    for (const [partition, end] of ends.entries()) {
      if (end === this.#ends[partition]) continue
      this.#ends[partition] = end
      this.#signal.raise(partition)
    }
  }

  async #rotate(): Promise<void> {
    const before = this.#environments.newest
    await this.#environments.rotate(this.#deps.clock.now(), this.#ends)
    if (this.#environments.newest !== before) await this.#expire()
  }

  async #expire(): Promise<void> {
    await this.#environments.expire(this.#deps.clock.now(), this.#retentionMs)
  }
}

function byteLength(records: readonly AppendRecord[]): number {
  return records.reduce((sum, { value }) => sum + value.length, 0)
}

function missing(topic: string, partition: number, offset: number): LogError {
  return new LogError(
    'corrupt',
    `${topic} partition ${partition}: offset ${offset} is missing from its file. Restore the data directory from a backup.`,
    { retryable: false },
  )
}

function broken(topic: string, reason: string): LogError {
  return new LogError(
    'unavailable',
    `Writing ${topic} has failed (${reason}), and what is on the disk is in doubt. Check the disk, then start again: the log finds out by itself what is there.`,
    { retryable: false },
  )
}
