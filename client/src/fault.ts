import type { HaltCode, RetryCode } from './answer.ts'

/** Something that holds up delivery of all events. Nothing is lost by it: they wait in the buffer. */
export interface Fault {
  readonly code: HaltCode | RetryCode
  readonly detail: string
  /** When the next try is due, in milliseconds from now. */
  readonly retryInMs: number
}

/** An event that will not be billed, told once. */
export interface Rejection {
  readonly id: string | null
  /** A code of the server (`tooOld`, `schemaMismatch`, …) or of this client (`unsafeNumber`, `bufferFull`, …). */
  readonly code: string
  readonly detail: string
  /** JSON pointer into the event, where one place is at fault. */
  readonly pointer?: string
  /** The event as it was sent; null where it could not be encoded. */
  readonly body: Uint8Array | null
}

/** Why `recordDurably` failed: the event is not known to be durable. */
export class NotRecordedError extends Error {
  override readonly name = 'NotRecordedError'
  readonly id: string | null
  readonly code: string

  constructor({ id, code, detail }: Pick<Rejection, 'id' | 'code' | 'detail'>) {
    super(`${code}: ${detail}`)
    this.id = id
    this.code = code
  }
}
