import type { Buffer } from './buffer.ts'
import type { EncodedEvent } from './event.ts'
import type { Spool } from './spool-port.ts'

interface Waiter {
  readonly event: EncodedEvent
  readonly admit: () => void
  readonly turnAway: () => void
}

/** Where `recordDurably` waits when the buffer is full: first come, first served. */
export class Room {
  readonly #buffer: Buffer
  readonly #spool: Spool | null
  readonly #waiters: Waiter[] = []

  constructor(buffer: Buffer, spool: Spool | null) {
    this.#buffer = buffer
    this.#spool = spool
  }

  get blocked(): number {
    return this.#waiters.length
  }

  /** What there is no room in; null where the event fits. */
  lackingFor({ body }: EncodedEvent): 'bufferFull' | 'spoolFull' | null {
    if (!this.#buffer.hasRoom(body.length)) return 'bufferFull'
    return this.#spool?.hasRoom(body.length) === false ? 'spoolFull' : null
  }

  wait(waiter: Waiter): void {
    this.#waiters.push(waiter)
  }

  /** To be called when events were settled. */
  admitWaiters(): void {
    for (;;) {
      const next = this.#waiters[0]
      if (next === undefined || this.lackingFor(next.event) !== null) return
      this.#waiters.shift()
      next.admit()
    }
  }

  turnAllAway(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.turnAway()
  }
}
