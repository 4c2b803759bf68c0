import { type HttpOutcome, judgeAnswer, type Receipt, type Verdict } from './answer.ts'
import { batchBody, readiness } from './batch.ts'
import type { BatchLimits, Buffer, Entry } from './buffer.ts'
import type { Clock } from './clock.ts'
import type { Fault } from './fault.ts'
import { FULL_PACE, halted, hastened, inFlightMaxAt, type Pace, slower } from './pace.ts'
import type { RetryPolicy } from './retry.ts'

export type Settlement =
  | { readonly kind: 'durable'; readonly receipt: Receipt | null }
  | { readonly kind: 'rejected'; readonly code: string; readonly detail: string }

interface DeliveryLimits extends BatchLimits, RetryPolicy {
  readonly lingerMs: number
  readonly inFlightMax: number
  readonly haltedRetryMs: number
}

export interface DeliveryDeps {
  readonly buffer: Buffer
  readonly limits: DeliveryLimits
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  /** Sends a body; never rejects. */
  readonly post: (body: Uint8Array<ArrayBuffer>) => Promise<HttpOutcome>
  readonly onSettled: (settled: readonly (readonly [Entry, Settlement])[]) => void
  readonly onFault: (fault: Fault) => void
}

export interface DeliveryStats {
  readonly requests: number
  readonly retries: number
  readonly duplicates: number
  readonly inFlight: number
  readonly failuresInARow: number
}

type Batch = readonly Entry[]

/** Takes batches from the buffer and sends them until each of their events is settled. */
export class Delivery {
  readonly #deps: DeliveryDeps
  /** Batches that failed. Their entries stay together, so that a repeat has the same bytes. */
  readonly #retrying: Batch[] = []
  #pace: Pace = FULL_PACE
  #inFlight = 0
  #isStopped = false
  /** Batches are sent as they are up to this entry, without waiting for more. */
  #hurryUpTo = 0
  #wake: { readonly atMs: number; readonly cancel: () => void } | null = null
  #faultTold: Fault['code'] | null = null
  #requests = 0
  #retries = 0
  #duplicates = 0

  constructor(deps: DeliveryDeps) {
    this.#deps = deps
  }

  stats(): DeliveryStats {
    return {
      requests: this.#requests,
      retries: this.#retries,
      duplicates: this.#duplicates,
      inFlight: this.#inFlight,
      failuresInARow: this.#pace.failures,
    }
  }

  /** Sends what waits up to this entry without letting it linger. A pause after a failure is kept. */
  hurry(upToNumber: number): void {
    this.#hurryUpTo = Math.max(this.#hurryUpTo, upToNumber)
    this.pump()
  }

  /** The same for all that is there, and now: for a client that is being closed. */
  hasten(upToNumber: number): void {
    this.#pace = hastened(this.#pace)
    this.hurry(upToNumber)
  }

  /** Starts nothing any more; answers that still come are not looked at. */
  stop(): void {
    this.#isStopped = true
    this.#wakeAt(null)
  }

  /** Starts every request that is due, and sets the alarm for the next. */
  pump(): void {
    if (!this.#isStopped) this.#wakeAt(this.#startDue())
  }

  /** Returns when the next request is due; null where an event or an answer decides that. */
  #startDue(): number | null {
    const { buffer, clock, limits } = this.#deps
    for (;;) {
      const nowMs = clock.elapsed()
      if (this.#retrying.length === 0 && buffer.waitingEvents === 0) return null
      if (nowMs < this.#pace.resumeAtMs) return this.#pace.resumeAtMs
      if (this.#inFlight >= inFlightMaxAt(this.#pace, limits.inFlightMax)) return null
      const next = this.#next(nowMs)
      if (typeof next === 'number') return next
      void this.#send(next)
    }
  }

  /**
   * What to send next, or when there will be something. A new batch goes before those that failed while few of them
   * wait, so that one batch that the server cannot take does not hold up all others.
   */
  #next(nowMs: number): Batch | number {
    const { buffer, limits } = this.#deps
    const oldest = buffer.oldest
    const waiting = {
      events: buffer.waitingEvents,
      bytes: buffer.waitingBytes,
      oldestAtMs: oldest?.bufferedAtMs ?? null,
    }
    const ready = readiness(waiting, limits, nowMs)
    const isHurried = oldest !== null && oldest.number <= this.#hurryUpTo
    const isReady = ready.kind === 'ready' || isHurried
    if (!isReady || this.#retrying.length >= limits.inFlightMax) {
      const again = this.#retrying.shift()
      if (again !== undefined) {
        this.#retries += 1
        return again
      }
    }
    return ready.kind === 'later' && !isHurried ? ready.atMs : buffer.take(limits)
  }

  /** An alarm that is set already is left alone: this runs for every event that is recorded. */
  #wakeAt(atMs: number | null): void {
    if (this.#wake?.atMs === atMs) return
    this.#wake?.cancel()
    if (atMs === null) {
      this.#wake = null
      return
    }
    const delayMs = Math.ceil(atMs - this.#deps.clock.elapsed())
    const cancel = this.#deps.clock.schedule(Math.max(0, delayMs), () => {
      this.#wake = null
      this.pump()
    })
    this.#wake = { atMs, cancel }
  }

  async #send(batch: Batch): Promise<void> {
    this.#inFlight += 1
    this.#requests += 1
    const outcome = await this.#deps.post(batchBody(batch))
    this.#inFlight -= 1
    if (this.#isStopped) return
    this.#apply(batch, judgeAnswer(outcome, batch.length))
    this.pump()
  }

  #apply(batch: Batch, verdict: Verdict): void {
    const { clock, limits, random } = this.#deps
    switch (verdict.kind) {
      case 'settled':
        this.#succeeded()
        this.#duplicates += verdict.duplicates
        this.#settle(batch, verdict)
        return
      case 'split': {
        this.#succeeded() // the server is there and reads what it gets
        const half = Math.ceil(batch.length / 2)
        if (batch.length > 1) this.#retrying.unshift(batch.slice(0, half), batch.slice(half))
        else this.#deps.onSettled(batch.map((entry) => [entry, { ...verdict, kind: 'rejected' }]))
        return
      }
      case 'retry':
        this.#retrying.push(batch)
        this.#pace = slower(this.#pace, limits, clock.elapsed(), verdict.retryAfterMs, random())
        this.#tell(verdict.code, verdict.detail)
        return
      case 'halt':
        this.#retrying.push(batch)
        this.#pace = halted(this.#pace, limits.haltedRetryMs, clock.elapsed())
        this.#tell(verdict.code, verdict.detail)
    }
  }

  #succeeded(): void {
    this.#pace = FULL_PACE
    this.#faultTold = null
  }

  /** Once for each kind of fault in a row: an outage of an hour is one message. */
  #tell(code: Fault['code'], detail: string): void {
    if (this.#faultTold === code) return
    this.#faultTold = code
    const retryInMs = Math.max(0, this.#pace.resumeAtMs - this.#deps.clock.elapsed())
    this.#deps.onFault({ code, detail, retryInMs })
  }

  #settle(batch: Batch, { rejected, receipts }: Extract<Verdict, { readonly kind: 'settled' }>): void {
    const rejections = new Map(rejected.map((one) => [one.index, one]))
    const receiptOf = new Map(receipts.map((receipt) => [receipt.id, receipt]))
    this.#deps.onSettled(
      batch.map((entry, i) => {
        const rejection = rejections.get(i)
        if (rejection === undefined) {
          return [entry, { kind: 'durable', receipt: receiptOf.get(entry.event.id) ?? null }]
        }
        return [entry, { kind: 'rejected', code: rejection.code, detail: rejection.detail }]
      }),
    )
  }
}
