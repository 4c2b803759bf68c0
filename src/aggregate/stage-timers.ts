import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'

/** How a stage waits. Nothing depends on when a timer fires, only that it does. */
export interface StageTimers {
  /** Calls back once; returns what takes the call back. */
  after(ms: number, callback: () => void): () => void
  pause(ms: number): Promise<void>
  /** Lets other work have its turn. */
  yield(): Promise<void>
}

export const systemTimers: StageTimers = {
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
  pause: (ms) => wait(ms, undefined, { ref: false }),
  yield: () => nextTurn(),
}
