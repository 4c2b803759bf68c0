import type { Clock } from '../../src/clock.ts'

interface Task {
  readonly atMs: number
  readonly run: () => void
}

const START_MS = Date.UTC(2026, 2, 1, 12)

/** Time that stands still until it is advanced. */
export class ManualClock implements Clock {
  #elapsedMs = 0
  readonly #tasks = new Set<Task>()

  now(): number {
    return START_MS + this.#elapsedMs
  }

  elapsed(): number {
    return this.#elapsedMs
  }

  schedule(delayMs: number, run: () => void): () => void {
    const task = { atMs: this.#elapsedMs + delayMs, run }
    this.#tasks.add(task)
    return () => {
      this.#tasks.delete(task)
    }
  }

  get pending(): number {
    return this.#tasks.size
  }

  /** Runs what falls due on the way, in order. */
  advance(ms: number): void {
    const endMs = this.#elapsedMs + ms
    for (;;) {
      const due = [...this.#tasks].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (due === undefined) break
      this.#tasks.delete(due)
      this.#elapsedMs = Math.max(this.#elapsedMs, due.atMs)
      due.run()
    }
    this.#elapsedMs = endMs
  }
}

const REAL_LIMIT_MS = 20_000

/**
 * Turns the clock on by small steps while real sockets do their work, until `isDone`. A request over loopback takes some
 * tens of turns, so that the clock runs faster than the wall's but no timer fires ahead of an answer that is there.
 */
export async function driveUntil(clock: ManualClock, isDone: () => boolean, stepMs = 2): Promise<void> {
  const deadline = performance.now() + REAL_LIMIT_MS
  while (!isDone()) {
    if (performance.now() > deadline) throw new Error('the client did not get there')
    clock.advance(stepMs)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Drives the clock until the promise is settled. */
export async function driven<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let isSettled = false
  const settle = (): void => {
    isSettled = true
  }
  promise.then(settle, settle)
  await driveUntil(clock, () => isSettled)
  return promise
}
