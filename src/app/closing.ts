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

  async run(): Promise<void> {
    const faults: unknown[] = []
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.stop()
      } catch (error) {
        this.#onFault(step.name, error)
        faults.push(error)
      }
    }
    if (faults.length > 0) throw faults[0]
  }
}
