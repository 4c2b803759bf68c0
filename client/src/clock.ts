/** Time as the client sees it, so that tests can turn it by hand. */
export interface Clock {
  /** Milliseconds since 1970, as events are stamped. It may be set back. */
  now(): number
  /** Milliseconds since some moment; it only goes forward. Every pause is measured by it. */
  elapsed(): number
  /** Runs `task` once after `delayMs`; the function that comes back calls it off. */
  schedule(delayMs: number, task: () => void): () => void
}

/** Timers keep the process alive while there is something to send, so that a short script doesn't end before it is sent. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  schedule: (delayMs, task) => {
    const timer = setTimeout(task, delayMs)
    return () => {
      clearTimeout(timer)
    }
  },
}
