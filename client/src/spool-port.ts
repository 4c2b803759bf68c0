import type { EncodedEvent } from './event.ts'

export interface SpooledEvent {
  readonly number: number
  readonly event: EncodedEvent
}

export interface SpoolStats {
  /** Bytes of the segment files. */
  readonly bytes: number
  readonly segments: number
  /** Events found at the start that were not acknowledged. */
  readonly recovered: number
  /** Segments whose end could not be read, and how much was dropped there. */
  readonly tornSegments: number
  readonly tornBytes: number
  /** Events that are only in memory because the disk failed. */
  readonly writeFailures: number
}

/** Keeps events on disk until they are settled. The client owns it from `createTallyman` to `close`. */
export interface Spool {
  /** What an earlier process recorded and did not settle, in the order of recording. */
  readonly recovered: readonly SpooledEvent[]
  hasRoom(bytes: number): boolean
  /** Resolves nothing: when it returns, the event survives the end of this process. Null where the disk failed. */
  append(event: EncodedEvent): number | null
  /** These will not be sent again. */
  settle(numbers: readonly number[]): void
  stats(): SpoolStats
  /** Everything on disk, the directory free for another process. */
  close(): Promise<void>
}
