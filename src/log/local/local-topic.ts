import type { LogRecord } from '../../usage/event-log.ts'

/** A topic whose records lie in this process or on its disk: reading is synchronous, appends are signalled. */
export interface LocalTopic {
  readonly name: string
  readonly partitions: number
  start(partition: number): number
  /** The next offset of the partition. Durable records only. */
  end(partition: number): number
  /** Records from an offset within `[start, end]` on; at least one where there is one. */
  read(partition: number, fromOffset: number, bytesMax: number, recordsMax: number): readonly LogRecord[]
  /** Calls `wake` once, at the next append to the partition; the answer takes it back. */
  onNextAppend(partition: number, wake: () => void): () => void
}

/** Who waits for the next append to a partition. */
export class AppendSignal {
  readonly #waiting = new Map<number, Set<() => void>>()

  onNextAppend(partition: number, wake: () => void): () => void {
    let waiting = this.#waiting.get(partition)
    if (waiting === undefined) {
      waiting = new Set()
      this.#waiting.set(partition, waiting)
    }
    waiting.add(wake)
    const all = waiting
    return () => all.delete(wake)
  }

  raise(partition: number): void {
    const waiting = this.#waiting.get(partition)
    if (waiting === undefined || waiting.size === 0) return
    const woken = [...waiting]
    waiting.clear()
    for (const wake of woken) wake()
  }
}
