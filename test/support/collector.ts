import type { LogBatch, LogRecord } from '../../src/usage/event-log.ts'

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (record: LogRecord | undefined): string => new TextDecoder().decode(record?.value)

/** Collects what a consumer is given and lets a test wait for it. */
export class Collector {
  readonly records = new Map<number, LogRecord[]>()
  readonly failures: Error[] = []
  #waiting: { readonly isMet: () => boolean; readonly resolve: () => void }[] = []

  get count(): number {
    return [...this.records.values()].reduce((sum, records) => sum + records.length, 0)
  }

  readonly take = async (batch: LogBatch): Promise<void> => {
    const records = this.records.get(batch.partition) ?? []
    records.push(...batch.records)
    this.records.set(batch.partition, records)
    this.check()
  }

  readonly fail = (error: Error): void => {
    this.failures.push(error)
    this.check()
  }

  texts(partition: number): string[] {
    return (this.records.get(partition) ?? []).map(textOf)
  }

  check(): void {
    this.#waiting = this.#waiting.filter(({ isMet, resolve }) => {
      if (!isMet()) return true
      resolve()
      return false
    })
  }

  /** Resolves once the condition holds; it is asked after every batch. */
  until(isMet: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ isMet, resolve })
      this.check()
    })
  }
}
