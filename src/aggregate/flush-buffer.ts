import type { Cut } from '../usage/coordinate.ts'
import type { LogRecord } from '../usage/event-log.ts'
import { PackError, PackWalker } from '../usage/pack-walker.ts'
import { writeEventRow } from './event-row.ts'
import { addChecksums, recordChecksum, type RecordRange } from './journal.ts'
import type { RecentIdentities } from './recent-identities.ts'
import { RowWriter, type WriterMark } from './row-binary.ts'
import { Touched } from './touched.ts'

/** The store keeps minutes as seconds in 32 bits: 1970 to 2106. */
const TIME_MS_MAX = 0xffff_ffff * 1000

/** Rows of one calendar month of event time, which is one partition of the table. */
export interface MonthRows {
  /** 202311 */
  readonly month: number
  readonly writer: RowWriter
}

/** An event whose identity was seen with another key before: a copy that the table does not unite with the first. */
export interface Suspect {
  readonly tenant: string
  readonly source: string
  readonly id: string
}

/** More of a flush are left to the sweep: each is looked up. */
const SUSPECTS_MAX = 5000

/**
 * What the next flush will write: rows by month, and for every partition which records they come from. Records are
 * added whole or not at all.
 */
export class FlushBuffer {
  readonly touched: Touched
  readonly #epoch: number
  readonly #walker = new PackWalker()
  readonly #months = new Map<number, RowWriter>()
  readonly #ranges: RecordRange[] = []
  readonly #recent: RecentIdentities
  readonly #suspects: Suspect[] = []
  #rows = 0
  #bytes = 0
  #oldestIngestedAtMs = Infinity
  #month = { startMs: 0, endMs: 0, writer: new RowWriter() }

  /** @param recent remembers identities from one buffer to the next */
  constructor(epoch: number, seed: number, recent: RecentIdentities) {
    this.#epoch = epoch
    this.#recent = recent
    this.touched = new Touched(seed)
  }

  get rows(): number {
    return this.#rows
  }

  get bytes(): number {
    return this.#bytes
  }

  /** True also when records without events are in it: they have to reach the journal. */
  get isEmpty(): boolean {
    return this.#ranges.length === 0
  }

  /** Infinity when it is empty. */
  get oldestIngestedAtMs(): number {
    return this.#oldestIngestedAtMs
  }

  get ranges(): readonly RecordRange[] {
    return this.#ranges
  }

  get suspects(): readonly Suspect[] {
    return this.#suspects
  }

  /** Up to where its partitions are in the store once its rows are. */
  reach(): Cut {
    const ends = new Map<number, number>()
    for (const { partition, to } of this.#ranges) ends.set(partition, Math.max(ends.get(partition) ?? 0, to))
    return [...ends].map(([partition, offset]) => ({ partition, offset }))
  }

  months(): readonly MonthRows[] {
    return [...this.#months]
      .filter(([, writer]) => writer.rows > 0)
      .map(([month, writer]) => ({ month, writer }))
  }

  /** Adds the rows of a record. @throws PackError, and then nothing was added */
  add(partition: number, record: LogRecord): void {
    const marks = new Map<RowWriter, WriterMark>()
    for (const writer of this.#months.values()) marks.set(writer, writer.mark())
    const suspects = this.#suspects.length
    try {
      const events = this.#addEvents(partition, record)
      this.#extend(partition, record, events)
    } catch (error) {
      for (const [month, writer] of this.#months) {
        const mark = marks.get(writer)
        if (mark === undefined) this.#months.delete(month)
        else writer.rewind(mark)
      }
      this.#month = { startMs: 0, endMs: 0, writer: new RowWriter() }
      this.#suspects.length = suspects
      throw error
    }
  }

  #addEvents(partition: number, record: LogRecord): number {
    const walker = this.#walker
    walker.open(record.value)
    while (walker.next()) {
      const { timeMs } = walker
      if (timeMs < 0 || timeMs > TIME_MS_MAX) throw new PackError(`event time ${timeMs}`, 0)
      if (timeMs < this.#month.startMs || timeMs >= this.#month.endMs) this.#turnTo(timeMs)
      writeEventRow(this.#month.writer, walker, this.#epoch, partition, record.offset)
      this.touched.add(walker, partition, record.offset)
      if (this.#recent.note(walker, partition, record.offset) !== null) this.#suspect()
    }
    return walker.index + 1
  }

  #suspect(): void {
    if (this.#suspects.length >= SUSPECTS_MAX) return
    const { bytes, tenantStart, tenantEnd, sourceStart, sourceEnd, idStart, idEnd } = this.#walker
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#suspects.push({
      tenant: text.toString('utf8', tenantStart, tenantEnd),
      source: text.toString('utf8', sourceStart, sourceEnd),
      id: text.toString('utf8', idStart, idEnd),
    })
  }

  #extend(partition: number, record: LogRecord, events: number): void {
    const ingestedAtMs = this.#walker.ingestedAtMs
    if (ingestedAtMs < this.#oldestIngestedAtMs) this.#oldestIngestedAtMs = ingestedAtMs
    this.#rows += events
    this.#bytes += record.value.length
    const checksum = recordChecksum(record)
    const i = this.#ranges.findLastIndex((range) => range.partition === partition)
    const last = this.#ranges[i]
    if (last?.to === record.offset) {
      this.#ranges[i] = {
        partition,
        from: last.from,
        to: record.offset + 1,
        events: last.events + events,
        bytes: last.bytes + record.value.length,
        checksum: addChecksums(last.checksum, checksum),
        ingestedMaxMs: Math.max(last.ingestedMaxMs, ingestedAtMs),
      }
    } else {
      this.#ranges.push({
        partition,
        from: record.offset,
        to: record.offset + 1,
        events,
        bytes: record.value.length,
        checksum,
        ingestedMaxMs: ingestedAtMs,
      })
    }
  }

  #turnTo(timeMs: number): void {
    const at = new Date(timeMs)
    const [year, month] = [at.getUTCFullYear(), at.getUTCMonth()]
    const key = year * 100 + month + 1
    let writer = this.#months.get(key)
    if (writer === undefined) {
      writer = new RowWriter()
      this.#months.set(key, writer)
    }
    this.#month = { startMs: Date.UTC(year, month, 1), endMs: Date.UTC(year, month + 1, 1), writer }
  }
}
