import { setTimeout as pause } from 'node:timers/promises'

/** What a run of kills draws from: the same seed gives the same victims in the same order. */
export class Draw {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  /** From 0 up to 1, without it. */
  next(): number {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  of<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)]
    if (item === undefined) throw new RangeError('nothing to draw from')
    return item
  }

  /** Lets the load run for a time that is drawn, so that the kill meets it anywhere. */
  async pause(msMin: number, msMax: number): Promise<void> {
    await pause(msMin + this.next() * (msMax - msMin))
  }
}

export interface KillOptions {
  readonly kills: number
  readonly seed: number
  readonly eventsPerSecond: number
  readonly onProgress?: (text: string) => void
}
