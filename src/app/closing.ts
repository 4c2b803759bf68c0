/** A step that is reached after the limit still has this long: most need a moment only. */
const GRACE_MS = 2000

/** What was started, to be stopped in reverse. Every step is tried; the first fault is thrown at the end. */
export class Closing {
  readonly #steps: { readonly name: string; readonly stop: () => Promise<unknown> }[] = []
  readonly #onFault: (step: string, error: unknown) => void

  constructor(onFault: (step: string, error: unknown) => void) {
    this.#onFault = onFault
  }

  add(name: string, stop: () => Promise<unknown>): void {
    this.#steps.push({ name, stop })
  }

  /**
   * Stops everything. A step that waits for an engine that has gone would wait for ever: after `limitMs` it is left
   * behind, which is a fault, and the ones below are stopped all the same. Whatever was not written then is read
   * from the log again after the next start.
   */
  async run(limitMs: number): Promise<void> {
    const deadlineMs = performance.now() + limitMs
    const faults: unknown[] = []
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await within(step.stop(), Math.max(GRACE_MS, deadlineMs - performance.now()), step.name)
      } catch (error) {
        this.#onFault(step.name, error)
        faults.push(error)
      }
    }
    if (faults.length > 0) throw faults[0]
  }
}

async function within(task: Promise<unknown>, limitMs: number, name: string): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`Stopping did not end in time: ${name} still waits.`)),
    limitMs,
  )
  try {
    await Promise.race([task, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
