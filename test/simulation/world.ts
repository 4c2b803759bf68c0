/** Pseudo-random numbers of a seed (mulberry32): the same seed, the same run. */
export class Random {
  #state: number
  constructor(seed: number) {
    this.#state = (seed * 2_654_435_761) >>> 0
  }
  /** 0 ≤ n < 1 */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  below(end: number): number {
    return Math.floor(this.next() * end)
  }
  chance(share: number): boolean {
    return this.next() < share
  }
  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new RangeError('nothing to pick from')
    return item
  }
}

/** A process: when it is dead nothing that it waits for ever happens. */
export class Process {
  isDead = false
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

interface Pending {
  readonly process: Process
  readonly run: () => void
}

/**
 * Everything that a process waits for is a pending step; the world picks which one happens next. Between two steps
 * all that follows at once has happened.
 */
export class World {
  readonly random: Random
  #pending: Pending[] = []

  constructor(seed: number) {
    this.random = new Random(seed)
  }

  get waiting(): number {
    return this.#pending.length
  }

  /** Resolves when the world picks it; never when the process has died by then. */
  step(process: Process): Promise<void> {
    return new Promise((resolve) => this.#pending.push({ process, run: resolve }))
  }

  /** Calls back when the world picks it. Returns what takes it back. */
  later(process: Process, run: () => void): () => void {
    const pending = { process, run }
    this.#pending.push(pending)
    return () => {
      this.#pending = this.#pending.filter((other) => other !== pending)
    }
  }

  /** One step, and all that follows from it at once. False when nothing waits. */
  async advance(): Promise<boolean> {
    this.#pending = this.#pending.filter(({ process }) => !process.isDead)
    if (this.#pending.length === 0) return false
    const [picked] = this.#pending.splice(this.random.below(this.#pending.length), 1)
    picked?.run()
    await settled()
    return true
  }
}

/** Promises that can go on have gone on: a turn of the loop comes after all of them. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
