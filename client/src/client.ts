import type { Receipt } from './answer.ts'
import { Buffer, type Entry } from './buffer.ts'
import { systemClock } from './clock.ts'
import { Delivery, type Settlement } from './delivery.ts'
import { type Drained, Drains } from './drain.ts'
import { type EncodedEvent, encodeEvent, type UsageEventInput } from './event.ts'
import { NotRecordedError, type Rejection } from './fault.ts'
import { eventsUrl, readLimits, readSource, type TallymanOptions } from './options.ts'
import { postBatch } from './post.ts'
import { type LocalRefusalCode, type Refusal, refusal } from './refusal.ts'
import { reportFault, reporter, type Reporter } from './report.ts'
import { Room } from './room.ts'
import type { ClientStats } from './stats.ts'

/** What `record` did with an event. A refused one has also been counted and told to `onRejected`. */
export type Recorded =
  | { readonly kind: 'buffered'; readonly id: string }
  | ({ readonly kind: 'refused'; readonly id: string | null } & Refusal)

/** The event is on the server's log. */
export interface Durable {
  readonly id: string
  /** Null where the server told none, which one that stands behind a proxy may do. */
  readonly receipt: Receipt | null
}

export interface Tallyman {
  /** Takes an event for delivery. Never throws and never waits: look at `kind`, or let `onRejected` tell. */
  record(event: UsageEventInput): Recorded
  /** Resolves when the event is durable. @throws NotRecordedError when it never will be, or is not known to be */
  recordDurably(event: UsageEventInput): Promise<Durable>
  /** Sends what is there without lingering; resolves when it is acknowledged or rejected, or the limit is over. */
  flush(limitMs?: number): Promise<Drained>
  /** Takes nothing any more, flushes for at most `limitMs` (10 s), then stops. With a spool, what is left is sent by the next process. */
  close(limitMs?: number): Promise<Drained>
  stats(): ClientStats
}

const CLOSE_MS_MAX = 10_000

/** @throws TypeError or RangeError for options that cannot work */
export function createTallyman(options: TallymanOptions): Tallyman {
  return new Client(options)
}

interface Awaiting {
  readonly resolve: (durable: Durable) => void
  readonly reject: (error: NotRecordedError) => void
}

class Client implements Tallyman {
  readonly #options: TallymanOptions
  readonly #source: string
  readonly #clock
  readonly #createId: () => string
  readonly #spool
  readonly #buffer: Buffer
  readonly #room: Room
  readonly #drains: Drains
  readonly #delivery: Delivery
  readonly #report: Reporter
  readonly #stop = new AbortController()
  readonly #awaiting = new Map<Entry, Awaiting>()
  readonly #counts = { recorded: 0, durable: 0, rejected: 0, dropped: 0 }
  readonly #refused: Partial<Record<LocalRefusalCode, number>> = {}
  #lastNumber = 0
  #closing: Promise<Drained> | null = null

  constructor(options: TallymanOptions) {
    this.#options = options
    this.#source = readSource(options.source)
    const limits = readLimits(options)
    const clock = options.clock ?? systemClock
    const { apiKey, onFault } = options
    const post = {
      url: `${eventsUrl(options.url)}?receipts=true`,
      apiKey: typeof apiKey === 'function' ? apiKey : () => apiKey,
      clock,
      fetch: options.fetch ?? globalThis.fetch,
      requestTimeoutMs: limits.requestTimeoutMs,
      stopped: this.#stop.signal,
    }
    this.#clock = clock
    this.#createId = options.createId ?? (() => crypto.randomUUID())
    this.#report = reporter(options.onRejected)
    this.#spool = options.spool ?? null
    this.#buffer = new Buffer(limits)
    this.#room = new Room(this.#buffer, this.#spool)
    this.#drains = new Drains(clock)
    this.#delivery = new Delivery({
      buffer: this.#buffer,
      limits,
      clock,
      random: options.random ?? Math.random,
      post: (body) => postBatch(post, body),
      onSettled: (settled) => this.#settle(settled),
      onFault: reportFault(onFault),
    })
    for (const { number, event } of this.#spool?.recovered ?? []) this.#push(event, number, false)
    this.#delivery.pump()
  }

  record(input: UsageEventInput): Recorded {
    const encoded = this.#encode(input)
    if (encoded.kind === 'refused') return this.#refuse(encoded.id, encoded.refusal, null)
    const { event } = encoded
    const lacking = this.#makeRoom(event, this.#options.whenFull ?? 'reject')
    if (lacking !== null) return this.#refuse(event.id, lacking, event)
    this.#take(event, false)
    return { kind: 'buffered', id: event.id }
  }

  async recordDurably(input: UsageEventInput): Promise<Durable> {
    const encoded = this.#encode(input)
    if (encoded.kind === 'refused') throw this.#failure(encoded.id, encoded.refusal, null)
    const { event } = encoded
    const policy = this.#options.whenFullAwaited ?? 'block'
    const lacking = this.#makeRoom(event, policy === 'dropOldest' ? policy : 'reject')
    // Who comes later does not overtake those who wait.
    const isBlocked = policy === 'block' && (lacking !== null || this.#room.blocked > 0)
    if (lacking !== null && !isBlocked) throw this.#failure(event.id, lacking, event)
    return new Promise((resolve, reject) => {
      const admit = (): void => {
        this.#awaiting.set(this.#take(event, true), { resolve, reject })
      }
      const turnAway = (): void => reject(this.#failure(event.id, CLOSED, event))
      if (isBlocked) this.#room.wait({ event, admit, turnAway })
      else admit()
    })
  }

  flush(limitMs = Infinity): Promise<Drained> {
    this.#delivery.hurry(this.#lastNumber)
    return this.#drains.wait(this.#lastNumber, this.#buffer.events, limitMs)
  }

  close(limitMs = CLOSE_MS_MAX): Promise<Drained> {
    return (this.#closing ??= this.#close(limitMs))
  }

  stats(): ClientStats {
    return {
      ...this.#counts,
      ...this.#delivery.stats(),
      refused: { ...this.#refused },
      recovered: this.#spool?.recovered.length ?? 0,
      bufferedEvents: this.#buffer.events,
      bufferedBytes: this.#buffer.bytes,
      blocked: this.#room.blocked,
      spool: this.#spool?.stats() ?? null,
    }
  }

  async #close(limitMs: number): Promise<Drained> {
    this.#room.turnAllAway()
    this.#delivery.hasten(this.#lastNumber)
    await this.flush(limitMs)
    this.#delivery.stop()
    this.#stop.abort()
    this.#drains.end()
    for (const [{ event }, { reject }] of this.#awaiting) {
      reject(new NotRecordedError({ id: event.id, ...NOT_ACKNOWLEDGED }))
    }
    this.#awaiting.clear()
    await this.#spool?.close()
    return { left: this.#buffer.events }
  }

  #encode(input: UsageEventInput): ReturnType<typeof encodeEvent> {
    const nowMs = this.#clock.now()
    const encoded = encodeEvent(input, { source: this.#source, nowMs, createId: this.#createId })
    if (encoded.kind === 'refused' || this.#closing === null) return encoded
    return { kind: 'refused', id: encoded.event.id, refusal: CLOSED }
  }

  #makeRoom(event: EncodedEvent, policy: 'reject' | 'dropOldest'): Refusal | null {
    for (;;) {
      const lacking = this.#room.lackingFor(event)
      if (lacking === null) return null
      const dropped = policy === 'dropOldest' ? this.#buffer.dropOldest() : null
      if (dropped === null) return refusal(lacking, FULL_DETAILS[lacking])
      this.#counts.dropped += 1
      this.#forget([dropped])
      this.#report(rejectionOf(dropped.event.id, DROPPED, dropped.event))
    }
  }

  #take(event: EncodedEvent, isAwaited: boolean): Entry {
    this.#counts.recorded += 1
    const entry = this.#push(event, this.#spool?.append(event) ?? null, isAwaited)
    this.#delivery.pump()
    return entry
  }

  #push(event: EncodedEvent, spoolNumber: number | null, isAwaited: boolean): Entry {
    const number = ++this.#lastNumber
    const entry: Entry = { event, number, spoolNumber, isAwaited, bufferedAtMs: this.#clock.elapsed() }
    this.#buffer.push(entry)
    return entry
  }

  #settle(settled: readonly (readonly [Entry, Settlement])[]): void {
    const entries = settled.map(([entry]) => entry)
    this.#buffer.settle(entries)
    for (const [entry, settlement] of settled) {
      const awaiting = this.#awaiting.get(entry)
      this.#awaiting.delete(entry)
      const { id } = entry.event
      if (settlement.kind === 'durable') {
        this.#counts.durable += 1
        awaiting?.resolve({ id, receipt: settlement.receipt })
      } else {
        this.#counts.rejected += 1
        const { code, detail } = settlement
        this.#report({ id, code, detail, body: entry.event.body })
        awaiting?.reject(new NotRecordedError({ id, code, detail }))
      }
    }
    this.#forget(entries)
  }

  #forget(entries: readonly Entry[]): void {
    this.#spool?.settle(entries.flatMap(({ spoolNumber }) => (spoolNumber === null ? [] : [spoolNumber])))
    this.#drains.settled(entries.map(({ number }) => number))
    this.#room.admitWaiters()
  }

  #refuse(id: string | null, why: Refusal, event: EncodedEvent | null): Recorded {
    this.#refused[why.code] = (this.#refused[why.code] ?? 0) + 1
    this.#report(rejectionOf(id, why, event))
    return { kind: 'refused', id, ...why }
  }

  #failure(id: string | null, why: Refusal, event: EncodedEvent | null): NotRecordedError {
    this.#refuse(id, why, event)
    return new NotRecordedError({ id, ...why })
  }
}

const CLOSED = refusal('closed', 'The client is closed. Record before close().')
const DROPPED = refusal('dropped', 'The buffer was full and this was its oldest event ("whenFull").')
const FULL_DETAILS = {
  bufferFull:
    'The buffer is full: the server takes events more slowly than they are recorded, or not at all.',
  spoolFull: 'The spool has reached its size: events are not acknowledged, or too slowly.',
}
const NOT_ACKNOWLEDGED = {
  code: 'closed',
  detail: 'The client was closed before the event was acknowledged; it may be durable or not.',
}

function rejectionOf(id: string | null, why: Refusal, event: EncodedEvent | null): Rejection {
  return { id, ...why, body: event?.body ?? null }
}
