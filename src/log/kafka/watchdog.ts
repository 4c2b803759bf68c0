import { LogError } from '../../usage/event-log.ts'

const LOOK_INTERVAL_MS_MAX = 1000
/** Below this the timer was merely late. */
const STANDSTILL_MS_MIN = 2000

/** A loop that must give signs of life. */
export interface Watched {
  /** It lives, and does something now that may take this long. */
  alive(doing: string, msMax: number): void
  /** It has ended, or waits for something that has no bound. */
  rest(): void
}

/**
 * A consumer that stands still without an error is the worst that can happen to it: nobody sees it until the retention
 * has passed. Whoever is given the fault ends the process, and a supervisor starts it again at the journal.
 */
export class Watchdog {
  readonly #onStall: (error: LogError) => void
  readonly #watched = new Map<symbol, { readonly what: string; deadlineMs: number }>()
  readonly #lookIntervalMs: number
  readonly #timer: NodeJS.Timeout
  #lookedMs = performance.now()

  constructor(lookIntervalMs: number, onStall: (error: LogError) => void) {
    this.#onStall = onStall
    this.#lookIntervalMs = Math.min(lookIntervalMs, LOOK_INTERVAL_MS_MAX)
    this.#timer = setInterval(() => this.#look(), this.#lookIntervalMs)
    this.#timer.unref()
  }

  watch(name: string): Watched {
    const key = Symbol(name)
    return {
      alive: (doing, msMax) => {
        this.#watched.set(key, {
          what: `${name}: ${doing} has not ended within ${msMax} ms`,
          deadlineMs: performance.now() + msMax,
        })
      },
      rest: () => this.#watched.delete(key),
    }
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#watched.clear()
  }

  #look(): void {
    const nowMs = performance.now()
    // The whole process stood still (a suspended machine, SIGSTOP): that says nothing of the loops.
    const standstillMs = nowMs - this.#lookedMs - this.#lookIntervalMs
    this.#lookedMs = nowMs
    if (standstillMs > STANDSTILL_MS_MIN) {
      for (const each of this.#watched.values()) each.deadlineMs += standstillMs
    }
    for (const { what, deadlineMs } of this.#watched.values()) {
      if (nowMs < deadlineMs) continue
      this.stop()
      this.#onStall(
        new LogError(
          'unavailable',
          `A consumer stands still. ${what}. The process must end and start again; it goes on where the journal ends.`,
          { retryable: false },
        ),
      )
      return
    }
  }
}
