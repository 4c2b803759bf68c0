import type { EncodedEvent } from './event.ts'

/** An event that is neither durable on the server nor given up. */
export interface Entry {
  readonly event: EncodedEvent
  /** Counts up with each event of this client. */
  readonly number: number
  /** Its place in the spool, where there is one. */
  readonly spoolNumber: number | null
  /** By the clock that only goes forward. */
  readonly bufferedAtMs: number
  readonly isAwaited: boolean
}

export interface BufferLimits {
  readonly bufferEventsMax: number
  readonly bufferBytesMax: number
}

/** Sizes that close a batch. */
export interface BatchLimits {
  readonly batchEventsMax: number
  readonly batchBytesMax: number
}

/** A body is `[`, and each event with a comma or the closing bracket behind it. */
const BYTES_AROUND = 1

/**
 * First in, first out, and bounded: an event counts from `push` to `settle`, also while it is under way. Taking a batch
 * frees no room, its answer does.
 */
export class Buffer {
  readonly #limits: BufferLimits
  #waiting: Entry[] = []
  /** Index of the first one that still waits; taken ones before it are cut off now and then. */
  #head = 0
  #waitingBytes = 0
  #events = 0
  #bytes = 0

  constructor(limits: BufferLimits) {
    this.#limits = limits
  }

  /** Events that are not settled. */
  get events(): number {
    return this.#events
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Events that no request has taken. */
  get waitingEvents(): number {
    return this.#waiting.length - this.#head
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  get oldest(): Entry | null {
    return this.#waiting[this.#head] ?? null
  }

  hasRoom(bytes: number): boolean {
    const { bufferEventsMax, bufferBytesMax } = this.#limits
    return this.#events < bufferEventsMax && this.#bytes + bytes <= bufferBytesMax
  }

  push(entry: Entry): void {
    this.#waiting.push(entry)
    this.#waitingBytes += entry.event.body.length
    this.#events += 1
    this.#bytes += entry.event.body.length
  }

  /** The next batch, oldest first: at least one event where there is one, however large it is. */
  take({ batchEventsMax, batchBytesMax }: BatchLimits): readonly Entry[] {
    let bytes = BYTES_AROUND
    let end = this.#head
    while (end < this.#waiting.length && end - this.#head < batchEventsMax) {
      bytes += (this.#waiting[end] as Entry).event.body.length + BYTES_AROUND
      if (bytes > batchBytesMax && end > this.#head) break
      end += 1
    }
    return this.#cut(end)
  }

  /** Gives up the oldest event that waits and that nobody awaits; null where there is none. */
  dropOldest(): Entry | null {
    for (let at = this.#head; at < this.#waiting.length; at++) {
      const entry = this.#waiting[at] as Entry
      if (entry.isAwaited) continue
      // Awaited events before it move back by one, into its place.
      this.#waiting.copyWithin(this.#head + 1, this.#head, at)
      this.#waiting[this.#head] = entry
      this.settle(this.#cut(this.#head + 1))
      return entry
    }
    return null
  }

  /** Frees the room of events that were taken. */
  settle(entries: readonly Entry[]): void {
    this.#events -= entries.length
    for (const entry of entries) this.#bytes -= entry.event.body.length
  }

  #cut(end: number): readonly Entry[] {
    const taken = this.#waiting.slice(this.#head, end)
    this.#head = end
    for (const entry of taken) this.#waitingBytes -= entry.event.body.length
    // Cutting off the front costs as much as what is left; at half of the array it is paid for by what was taken.
    if (this.#head * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
    return taken
  }
}
