import { mkdirSync } from 'node:fs'
import { type Clock, systemClock } from '../clock.ts'
import type { EncodedEvent } from '../event.ts'
import type { Spool, SpooledEvent, SpoolStats } from '../spool-port.ts'
import { type Lock, lockDirectory } from './lock.ts'
import { recover, segmentPath } from './recover.ts'
import { encodeRecord, eventRecordBytes, SEGMENT_MAGIC, type SpoolRecord } from './segment.ts'
import { SegmentFile } from './segment-file.ts'

export interface SpoolOptions {
  /** A directory of this process alone, on a local disk; made where it is missing. */
  readonly directory: string
  /** All segments together: 256 MiB. At the bound `record` answers 'spoolFull'. */
  readonly bytesMax?: number
  /** A segment is closed at 4 MiB, and removed when all of its events are settled. */
  readonly segmentBytesMax?: number
  /** Most time that an event is safe from the end of the process, but not yet from a power failure: 50 ms. */
  readonly syncIntervalMs?: number
  /** Told of what the disk refuses and of what was torn. Without it it is written to the console. */
  readonly onFault?: (fault: SpoolFault) => void
  readonly clock?: Pick<Clock, 'schedule'>
}

export interface SpoolFault {
  readonly code: 'torn' | 'writeFailed' | 'syncFailed' | 'removeFailed' | 'lockFailed'
  readonly detail: string
}

/**
 * Opens a spool and reads what an earlier process left in it. Give it to `createTallyman`, which sends that first.
 * @throws Error when another process holds the directory, or the disk fails
 */
export function openSpool(options: SpoolOptions): Spool {
  return new DiskSpool(options)
}

class DiskSpool implements Spool {
  readonly recovered: readonly SpooledEvent[]
  readonly #directory: string
  readonly #bytesMax: number
  readonly #segmentBytesMax: number
  readonly #syncIntervalMs: number
  readonly #clock: Pick<Clock, 'schedule'>
  readonly #onFault: (fault: SpoolFault) => void
  readonly #lock: Lock
  readonly #segmentOf = new Map<number, SegmentFile>()
  readonly #segments: Set<SegmentFile>
  readonly #torn: { readonly segments: number; readonly bytes: number }
  #current: SegmentFile | null = null
  #lastNumber: number
  #lastSegment: number
  #cancelSync: (() => void) | null = null
  #writeFailures = 0
  #faultTold: SpoolFault['code'] | null = null

  constructor(options: SpoolOptions) {
    const { directory, bytesMax = 268_435_456, segmentBytesMax = 4_194_304, syncIntervalMs = 50 } = options
    if (segmentBytesMax < 1024 || segmentBytesMax * 2 > bytesMax) {
      throw new RangeError('"segmentBytesMax" must be at least 1024 and at most half of "bytesMax".')
    }
    this.#directory = directory
    this.#bytesMax = bytesMax
    this.#segmentBytesMax = segmentBytesMax
    this.#syncIntervalMs = syncIntervalMs
    this.#clock = options.clock ?? systemClock
    this.#onFault =
      options.onFault ?? (({ code, detail }) => console.error(`tallyman spool: ${code}: ${detail}`))
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#lock = lockDirectory(directory)
    const { events, segments, lastNumber, lastSegment, torn } = recover(directory)
    this.recovered = events
    this.#segments = new Set(segments)
    for (const segment of segments) for (const number of segment.live) this.#segmentOf.set(number, segment)
    this.#lastNumber = lastNumber
    this.#lastSegment = lastSegment
    this.#torn = { segments: torn.length, bytes: torn.reduce((sum, { bytes }) => sum + bytes, 0) }
    for (const { path, bytes } of torn) {
      this.#onFault({ code: 'torn', detail: `${path} ends with ${bytes} bytes that are no whole record.` })
    }
  }

  hasRoom(bytes: number): boolean {
    return this.#bytes() + SEGMENT_MAGIC.length + eventRecordBytes(bytes) <= this.#bytesMax
  }

  append(event: EncodedEvent): number | null {
    const number = this.#lastNumber + 1
    const segment = this.#write({ kind: 'event', number, body: event.body })
    if (segment === null) return null
    this.#lastNumber = number
    segment.live.add(number)
    this.#segmentOf.set(number, segment)
    return number
  }

  settle(numbers: readonly number[]): void {
    for (const number of numbers) {
      const segment = this.#segmentOf.get(number)
      this.#segmentOf.delete(number)
      segment?.live.delete(number)
      if (segment !== undefined && segment !== this.#current) this.#removeIfSettled(segment)
    }
    // Not needed to bill each event once, for a repeat counts as one; it saves sending them again after a restart.
    const record: SpoolRecord = { kind: 'settled', numbers }
    const isBelowBound = this.#bytes() + SEGMENT_MAGIC.length + 32 + numbers.length * 8 <= this.#bytesMax
    if (this.#segmentOf.size > 0 && isBelowBound) this.#write(record)
    else if (this.#segmentOf.size === 0 && this.#current !== null) this.#startAfresh(this.#current)
  }

  stats(): SpoolStats {
    return {
      bytes: this.#bytes(),
      segments: this.#segments.size,
      recovered: this.recovered.length,
      tornSegments: this.#torn.segments,
      tornBytes: this.#torn.bytes,
      writeFailures: this.#writeFailures,
    }
  }

  async close(): Promise<void> {
    this.#cancelSync?.()
    this.#cancelSync = null
    this.#retire()
    try {
      this.#lock.release()
    } catch (error) {
      this.#tell('lockFailed', error) // the next process sees that this one is gone
    }
  }

  #bytes(): number {
    let sum = 0
    for (const { bytes } of this.#segments) sum += bytes
    return sum
  }

  /** The segment that has the record now; null where the disk failed. */
  #write(record: SpoolRecord): SegmentFile | null {
    const bytes = encodeRecord(record)
    try {
      const segment = this.#segmentFor(bytes.length)
      segment.append(bytes)
      this.#syncSoon()
      if (this.#faultTold === 'writeFailed') this.#faultTold = null
      return segment
    } catch (error) {
      if (record.kind === 'event') this.#writeFailures += 1
      this.#tell('writeFailed', error)
      // What the file looks like now is not known for sure: the next record begins another.
      this.#current?.close()
      const abandoned = this.#current
      this.#current = null
      if (abandoned !== null) this.#removeIfSettled(abandoned)
      return null
    }
  }

  #segmentFor(bytes: number): SegmentFile {
    if (this.#current !== null && this.#current.bytes + bytes > this.#segmentBytesMax) this.#retire()
    if (this.#current === null) {
      this.#lastSegment += 1
      this.#current = SegmentFile.create(segmentPath(this.#directory, this.#lastSegment))
      this.#segments.add(this.#current)
    }
    return this.#current
  }

  /** Nothing is written to the current segment any more. */
  #retire(): void {
    const retired = this.#current
    if (retired === null) return
    this.#current = null
    if (retired.live.size > 0) {
      try {
        retired.syncNow()
      } catch (error) {
        this.#tell('syncFailed', error)
      }
    }
    retired.close()
    this.#removeIfSettled(retired)
  }

  /** Everything is settled: a segment with some length is given back, a short one serves on. */
  #startAfresh(current: SegmentFile): void {
    if (current.bytes * 4 < this.#segmentBytesMax) return
    this.#current = null
    this.#removeIfSettled(current)
  }

  #removeIfSettled(segment: SegmentFile): void {
    if (segment.live.size > 0) return
    this.#segments.delete(segment)
    try {
      segment.remove()
    } catch (error) {
      this.#tell('removeFailed', error) // its events are sent once more after a restart, and count once
    }
  }

  #syncSoon(): void {
    this.#cancelSync ??= this.#clock.schedule(this.#syncIntervalMs, () => {
      this.#cancelSync = null
      const segment = this.#current
      if (segment === null || segment.live.size === 0) return
      segment.sync((error) => {
        if (error !== null) this.#tell('syncFailed', error)
      })
    })
  }

  /** Once for each kind in a row: a full disk is one message, not one for each event. */
  #tell(code: SpoolFault['code'], error: unknown): void {
    if (this.#faultTold === code) return
    this.#faultTold = code
    this.#onFault({ code, detail: error instanceof Error ? error.message : String(error) })
  }
}
