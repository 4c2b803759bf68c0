/** A bucket is recomputed this long after it closed, and after the last event came for it. */
const QUIET_MS = 2000
/** A bucket that events keep coming for is recomputed at least this often. */
const WAIT_MS_MAX = 30_000
/** A bucket that lies further ahead than events may is not an open one: it belongs to a test clock. */
const OPEN_AHEAD_MS = 600_000
/** The next recompute of a bucket comes not before so many times what the last one took. */
const COST_FACTOR = 10

interface Dirty {
  readonly sinceMs: number
  lastMs: number
  notBeforeMs: number
}

/** Buckets of one length that have to be computed, and from when on. Times are given, nothing is read from a clock. */
export class RollupQueue {
  readonly #spanMs: number
  readonly #dirty = new Map<number, Dirty>()
  /** Bucket → when it may be computed again. */
  readonly #cooling = new Map<number, number>()

  /** @param span seconds */
  constructor(span: number) {
    this.#spanMs = span * 1000
  }

  get size(): number {
    return this.#dirty.size
  }

  /** Whether a bucket of `[start, end)`, seconds, waits. */
  hasAny(start: number, end: number, step: number): boolean {
    for (let bucket = start; bucket < end; bucket += step) if (this.#dirty.has(bucket)) return true
    return false
  }

  /** @param settled nothing more is to be expected for it: it is due at once */
  add(bucket: number, nowMs: number, settled = false): void {
    const known = this.#dirty.get(bucket)
    if (known !== undefined) {
      known.lastMs = nowMs
      return
    }
    const lastMs = settled ? nowMs - QUIET_MS : nowMs
    this.#dirty.set(bucket, { sinceMs: nowMs, lastMs, notBeforeMs: this.#cooling.get(bucket) ?? 0 })
  }

  /** Takes buckets that are due out of the queue, in order. What comes for them from now on queues them again. */
  takeDue(nowMs: number, countMax: number): readonly number[] {
    const due: number[] = []
    for (const [bucket, state] of this.#dirty) if (this.#isDue(bucket, state, nowMs)) due.push(bucket)
    const taken = due.toSorted((a, b) => a - b).slice(0, countMax)
    for (const bucket of taken) this.#dirty.delete(bucket)
    return taken
  }

  /** A recompute of it took so long. */
  computed(bucket: number, nowMs: number, tookMs: number): void {
    this.#cooling.set(bucket, nowMs + COST_FACTOR * tookMs)
    if (this.#cooling.size < 1000) return
    for (const [other, until] of this.#cooling) if (until <= nowMs) this.#cooling.delete(other)
  }

  #isDue(bucket: number, { sinceMs, lastMs, notBeforeMs }: Dirty, nowMs: number): boolean {
    if (nowMs < notBeforeMs) return false
    const endMs = bucket * 1000 + this.#spanMs
    const isOpen = endMs + QUIET_MS > nowMs && endMs - nowMs < OPEN_AHEAD_MS
    if (isOpen) return false
    return nowMs - lastMs >= QUIET_MS || nowMs - sinceMs >= WAIT_MS_MAX
  }
}
