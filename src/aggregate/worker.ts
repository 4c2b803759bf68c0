import { randomInt } from 'node:crypto'
import type { Clock } from '../time/clock.ts'
import { covers, type Cut } from '../usage/coordinate.ts'
import { type EventLog, type LogBatch, type LogConsumer, LogError } from '../usage/event-log.ts'
import { PackError } from '../usage/pack-walker.ts'
import { EVENT_PARTITIONS, TOPIC_EPOCH, TOPIC_EVENTS, TOPIC_OBSERVED } from '../usage/topics.ts'
import { FlushBuffer } from './flush-buffer.ts'
import { JOURNAL_RANGES_MAX, sumLongJournals } from './journal-sums.ts'
import { observedRecords } from './observed.ts'
import type { AggregateMetrics, JournalView, StageLogger } from './ports.ts'
import type { UsageSink } from './sink.ts'
import { RecentIdentities, rememberAll } from './recent-identities.ts'
import { AGGREGATE_GROUP, recordsBefore, uncommittedRecords } from './republication.ts'
import { type StageTimers, systemTimers } from './stage-timers.ts'
import type { MinuteMark } from './touched.ts'

/** Beyond it fetching waits: an insert of more rows gains nothing and holds memory. */
const BUFFERED_ROWS_MAX = 250_000
/** Packs encoded before other work gets its turn. */
const SLICE_RECORDS = 200
const SLICE_ROWS = 10_000
const RETRY_PAUSE_MS_MAX = 5000
/** Of a partition, whose identities are remembered at start. */
const REMEMBERED_RECORDS_MAX = 10_000
/** Two generations of half a million identities, 50 MiB in all. */
const RECENT_SLOTS_LOG2 = 20
export interface AggregatorConfig {
  readonly flushIntervalMs: number
  readonly flushRowsMax: number
}

export interface AggregatorDeps {
  readonly log: EventLog
  readonly sink: UsageSink
  readonly clock: Clock
  readonly metrics: AggregateMetrics
  readonly logger: StageLogger
  readonly config: AggregatorConfig
  /** Told of every flush once it counts. */
  readonly onFlushed?: (marks: readonly MinuteMark[]) => void
  /** Told when it reads no further: a hole in the log, or a consumer that stands still. */
  readonly onStopped?: (error: Error) => void
  /** Simulations bring their own. */
  readonly timers?: StageTimers
  /** Whether a record may come where another was expected. Simulations leave it out to show what it protects from. */
  readonly isContiguous?: (expected: number | undefined, offset: number) => boolean
  /** Of the memory of identities; RECENT_SLOTS_LOG2 where absent. */
  readonly recentSlotsLog2?: number
}

export interface Aggregator extends JournalView {
  /** Resumes at the journal. @throws StoreError, LogError */
  start(): Promise<void>
  /** Writes what is buffered and leaves. What cannot be written now is read again after the next start. */
  stop(): Promise<void>
  journal(): Cut
  /** True once everything before the cut counts; false after `timeoutMs`. */
  waitForJournal(cut: Cut, timeoutMs: number): Promise<boolean>
  /** What halted a partition; null while all is well. */
  fault(): string | null
}

/** Stage 2's loop: log → rows → journal → observed → commit, in this order and nowhere else. */
export function createAggregatorWorker(deps: AggregatorDeps): Aggregator {
  return new Worker(deps)
}

class Worker implements Aggregator {
  readonly #deps: AggregatorDeps
  readonly #timers: StageTimers
  readonly #seed = randomInt(2 ** 32)
  readonly #recent: RecentIdentities
  /** Partition → the offset that has to come next. */
  readonly #expected = new Map<number, number>()
  readonly #ends: number[] = Array.from({ length: EVENT_PARTITIONS }, () => 0)
  readonly #waiters = new Set<{ readonly cut: Cut; readonly wake: () => void }>()
  #open: FlushBuffer
  #flushing: { readonly done: Promise<void>; readonly buffer: FlushBuffer } | null = null
  #cancelFlush: (() => void) | null = null
  #consumer: LogConsumer | null = null
  #stopping = new AbortController()
  #flushes = 0
  #fault: string | null = null

  constructor(deps: AggregatorDeps) {
    this.#deps = deps
    this.#timers = deps.timers ?? systemTimers
    this.#recent = new RecentIdentities(deps.recentSlotsLog2 ?? RECENT_SLOTS_LOG2, this.#seed)
    this.#open = this.#newBuffer()
  }

  async start(): Promise<void> {
    this.#stopping = new AbortController()
    this.#fault = null
    await this.#resumeJournal()
    await this.#republish()
    this.#consumer = await this.#deps.log.consume({
      topic: TOPIC_EVENTS,
      group: AGGREGATE_GROUP,
      resumeAt: (partition) => this.#resumeAt(partition),
      onBatch: (batch) => this.#onBatch(batch),
      onFatal: (error) => {
        this.#halt(error.message)
        this.#deps.onStopped?.(error)
      },
    })
  }

  async stop(): Promise<void> {
    await this.#settle()
    this.#stopping.abort()
    await this.#consumer?.stop()
    this.#consumer = null
    await this.#settle()
    this.#stopTimer()
    this.#open = this.#newBuffer()
    this.#expected.clear()
  }

  journal(): Cut {
    return this.#ends.map((offset, partition) => ({ partition, offset }))
  }

  ends(): Cut {
    return this.journal()
  }

  fault(): string | null {
    return this.#fault
  }

  freshnessSeconds(): number {
    const oldest = Math.min(
      this.#open.oldestIngestedAtMs,
      this.#flushing?.buffer.oldestIngestedAtMs ?? Infinity,
    )
    return oldest === Infinity ? 0 : Math.max(0, (this.#deps.clock.now() - oldest) / 1000)
  }

  async waitForJournal(cut: Cut, timeoutMs: number): Promise<boolean> {
    if (covers(this.journal(), cut)) return true
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const waiter = { cut, wake: () => resolve(true) }
    this.#waiters.add(waiter)
    const timer = setTimeout(() => resolve(covers(this.journal(), cut)), timeoutMs)
    if (covers(this.#encodedEnds(), cut)) this.#startFlush()
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#waiters.delete(waiter)
    }
  }

  #newBuffer(): FlushBuffer {
    return new FlushBuffer(TOPIC_EPOCH, this.#seed, this.#recent)
  }

  async #resumeJournal(): Promise<void> {
    const journal = await sumLongJournals(this.#deps.sink, this.#deps.clock.now())
    for (const { partition, end } of journal)
      this.#ends[partition] = Math.max(this.#ends[partition] ?? 0, end)
  }

  async #resumeAt(partition: number): Promise<number> {
    // Another process may have gone on with the partition since: what counts is what the store says.
    const journal = await this.#deps.sink.readJournal()
    const end = journal[partition]?.end ?? 0
    this.#ends[partition] = Math.max(this.#ends[partition] ?? 0, end)
    this.#expected.set(partition, end)
    await this.#remember(partition, end, (journal[partition]?.events ?? 0) / Math.max(end, 1))
    return end
  }

  /** Fills the memory of identities from the end of what counts already, as if this process had read it. */
  async #remember(partition: number, end: number, eventsPerRecord: number): Promise<void> {
    const events = this.#recent.entriesMax / EVENT_PARTITIONS
    const records = Math.min(REMEMBERED_RECORDS_MAX, Math.ceil(events / Math.max(eventsPerRecord, 1)))
    for await (const batch of recordsBefore(this.#deps.log, partition, end, records)) {
      rememberAll(this.#recent, partition, batch)
      await this.#timers.yield()
    }
  }

  /** A crash may have come between journal and publication: what was not committed is published again. */
  async #republish(): Promise<void> {
    for await (const { partition, records } of uncommittedRecords(this.#deps.log, this.journal())) {
      const replayed = this.#newBuffer()
      for (const record of records) replayed.add(partition, record)
      await this.#publish(replayed)
      await this.#timers.yield()
    }
  }

  async #onBatch({ partition, records }: LogBatch): Promise<void> {
    let rowsSinceYield = 0
    for (const [i, record] of records.entries()) {
      if (this.#stopping.signal.aborted) throw new Error('the aggregator is stopping')
      this.#assertNext(partition, record.offset)
      const rowsBefore = this.#open.rows
      try {
        this.#open.add(partition, record)
      } catch (error) {
        if (!(error instanceof PackError)) throw error
        this.#deps.metrics.partitionHalted(partition)
        this.#halt(`partition ${partition}, record ${record.offset}: ${error.message}`)
        throw error
      }
      this.#expected.set(partition, record.offset + 1)
      rowsSinceYield += this.#open.rows - rowsBefore
      await this.#makeRoom()
      if (i % SLICE_RECORDS === SLICE_RECORDS - 1 || rowsSinceYield >= SLICE_ROWS) {
        rowsSinceYield = 0
        await this.#timers.yield()
      }
    }
    this.#deps.metrics.buffered(this.#open.rows)
    if (this.#isAwaited()) this.#startFlush()
    else this.#scheduleFlush()
  }

  #assertNext(partition: number, offset: number): void {
    const expected = this.#expected.get(partition)
    if (this.#deps.isContiguous?.(expected, offset) ?? offset === expected) return
    const fault = `partition ${partition}: record ${offset} came where ${expected ?? 'nothing'} was expected`
    if (expected !== undefined && offset > expected) {
      this.#deps.metrics.partitionHalted(partition)
      this.#halt(fault)
    }
    throw new LogError('gap', fault, { retryable: false })
  }

  #halt(fault: string): void {
    this.#fault ??= fault
    this.#deps.logger.error({ fault }, 'aggregation of a partition has halted; nothing is skipped')
  }

  async #makeRoom(): Promise<void> {
    if (this.#open.rows >= this.#deps.config.flushRowsMax) this.#startFlush()
    while (this.#open.rows >= BUFFERED_ROWS_MAX && this.#flushing !== null) await this.#flushing.done
  }

  #scheduleFlush(): void {
    if (this.#cancelFlush !== null || this.#open.isEmpty) return
    this.#cancelFlush = this.#timers.after(this.#deps.config.flushIntervalMs, () => this.#startFlush())
  }

  #stopTimer(): void {
    this.#cancelFlush?.()
    this.#cancelFlush = null
  }

  /** One insert in flight: while one is, the buffer goes on filling and is written right after it. */
  #startFlush(): void {
    this.#stopTimer()
    if (this.#flushing !== null || this.#open.isEmpty) return
    const buffer = this.#open
    this.#open = this.#newBuffer()
    const done = this.#flush(buffer).then(() => {
      this.#flushing = null
      if (this.#open.rows >= this.#deps.config.flushRowsMax || this.#isAwaited()) this.#startFlush()
      else this.#scheduleFlush()
    })
    this.#flushing = { done, buffer }
  }

  /** Waits until nothing is buffered, as far as it can be written. */
  async #settle(): Promise<void> {
    do {
      this.#startFlush()
      await this.#flushing?.done
    } while (!this.#open.isEmpty && !this.#stopping.signal.aborted)
  }

  async #flush(buffer: FlushBuffer): Promise<void> {
    const { sink, clock, metrics } = this.#deps
    const startedAt = performance.now()
    const marks = buffer.touched.marks()
    const written =
      (await this.#persist('events', async () => {
        for (const month of buffer.months()) await sink.writeEvents(month)
      })) &&
      (await this.#persist('conflicts', () => sink.writeConflicts(buffer.suspects, buffer.reach()))) &&
      (await this.#persist('marks', () => sink.writeMarks(marks))) &&
      (await this.#persist('journal', () => sink.writeJournal(buffer.ranges, clock.now())))
    if (!written) return
    for (const range of buffer.ranges) {
      if (range.from <= (this.#ends[range.partition] ?? 0)) {
        this.#ends[range.partition] = Math.max(this.#ends[range.partition] ?? 0, range.to)
      }
    }
    metrics.flushed({
      rows: buffer.rows,
      bytes: buffer.bytes,
      seconds: (performance.now() - startedAt) / 1000,
    })
    metrics.freshness(Math.max(0, (clock.now() - buffer.oldestIngestedAtMs) / 1000))
    metrics.watermark(Math.max(...buffer.ranges.map(({ ingestedMaxMs }) => ingestedMaxMs)) / 1000)
    for (const waiter of this.#waiters) if (covers(this.journal(), waiter.cut)) waiter.wake()
    this.#deps.onFlushed?.(marks)
    if (++this.#flushes % JOURNAL_RANGES_MAX === 0) await this.#persist('sums', () => this.#resumeJournal())
    if (await this.#persist('observed', () => this.#publish(buffer))) {
      await this.#persist('commit', async () => this.#consumer?.commit(this.journal()))
    }
  }

  /** Repeats a step until it succeeds: every step may run twice, none may be skipped. False when stopping. */
  async #persist(step: string, task: () => Promise<void>): Promise<boolean> {
    for (let pauseMs = 50; ; pauseMs = Math.min(2 * pauseMs, RETRY_PAUSE_MS_MAX)) {
      try {
        await task()
        return true
      } catch (error) {
        this.#deps.metrics.insertFailed()
        this.#deps.logger.warn(
          { step, error: String(error), pauseMs },
          'a step of the flush failed; trying again',
        )
        if (this.#stopping.signal.aborted) return false
        await this.#timers.pause(pauseMs)
      }
    }
  }

  async #publish(buffer: FlushBuffer): Promise<void> {
    const records = observedRecords(buffer.touched.subjects(), this.journal())
    if (records.length === 0) return
    const outcomes = await this.#deps.log.append(
      TOPIC_OBSERVED,
      records.map((value) => ({ partition: 0, value })),
    )
    const failed = outcomes.find((outcome) => outcome.kind === 'failed')
    if (failed !== undefined) throw new LogError('unavailable', failed.reason, { retryable: true })
  }

  #isAwaited(): boolean {
    if (this.#waiters.size === 0) return false
    const encoded = this.#encodedEnds()
    return [...this.#waiters].some(({ cut }) => covers(encoded, cut))
  }

  #encodedEnds(): Cut {
    return this.#ends.map((end, partition) => ({
      partition,
      offset: Math.max(end, this.#expected.get(partition) ?? 0),
    }))
  }
}
