import type { Clock } from './clock.ts'

/** Events that were neither acknowledged nor rejected when the limit was over; zero when all are done. */
export interface Drained {
  readonly left: number
}

interface Wait {
  readonly upToNumber: number
  remaining: number
  readonly resolve: (drained: Drained) => void
}

/** Waits of `flush`: each for the events that were there when it was called, whatever comes after. */
export class Drains {
  readonly #clock: Clock
  readonly #waits = new Set<Wait>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @param limitMs Infinity for no limit */
  wait(upToNumber: number, remaining: number, limitMs: number): Promise<Drained> {
    if (remaining === 0) return Promise.resolve({ left: 0 })
    return new Promise((resolve) => {
      const wait: Wait = {
        upToNumber,
        remaining,
        resolve: (drained) => {
          cancel?.()
          this.#waits.delete(wait)
          resolve(drained)
        },
      }
      const giveUp = (): void => wait.resolve({ left: wait.remaining })
      const cancel = limitMs === Infinity ? null : this.#clock.schedule(limitMs, giveUp)
      this.#waits.add(wait)
    })
  }

  settled(numbers: readonly number[]): void {
    for (const wait of this.#waits) {
      for (const number of numbers) if (number <= wait.upToNumber) wait.remaining -= 1
      if (wait.remaining === 0) wait.resolve({ left: 0 })
    }
  }

  /** Nothing will be settled any more. */
  end(): void {
    for (const wait of this.#waits) wait.resolve({ left: wait.remaining })
  }
}
