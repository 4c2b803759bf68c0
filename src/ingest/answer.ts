import type { RejectionCode } from './rejection.ts'

/** One event that was not taken, by its place in the request. */
export interface Rejection {
  readonly index: number
  /** The event's id where it could be read. */
  readonly id: string | null
  readonly code: RejectionCode
  /** What is wrong and what to do, for a person. */
  readonly detail: string
  /** For `schemaMismatch`: each fault by its JSON pointer into the event. */
  readonly errors?: readonly SchemaFault[]
}

export interface SchemaFault {
  readonly pointer: string
  readonly detail: string
}

/** Where the event stands on the log; for a duplicate, where its first copy stands. */
export interface Receipt {
  readonly id: string
  readonly partition: number
  readonly offset: number
  readonly index: number
}

/** Why a whole request was refused; trying the same again does not help. */
export type RefusalCode =
  | 'bodyTooLarge'
  | 'tooManyEvents'
  | 'unsupportedMediaType'
  | 'unsupportedEncoding'
  | 'malformedEncoding'
  | 'malformedJson'
  | 'tooDeeplyNested'
  | 'malformedBatch'
  | 'malformedCorrections'
  | 'malformedHeaders'
  | 'batchRejected'

/** Why a request could not be served now; the same request with the same ids may be sent again. */
export type UnavailableCode = 'overloaded' | 'logUnavailable' | 'draining'

/** What became of a request. `accepted` is given only after every event it counts is durable on the log. */
export type IngestAnswer =
  | {
      readonly kind: 'accepted'
      /** Events that are on the log because of this request. */
      readonly accepted: number
      /** Events whose identity was accepted before, or stands earlier in the same request. */
      readonly duplicates: number
      readonly rejected: readonly Rejection[]
      /** Present when asked for: one per accepted event and per recognised duplicate, in the order of the request. */
      readonly receipts?: readonly Receipt[]
    }
  | {
      readonly kind: 'refused'
      readonly code: RefusalCode
      readonly detail: string
      /** For `batchRejected`: what was wrong with which event. */
      readonly rejected?: readonly Rejection[]
    }
  | {
      readonly kind: 'unavailable'
      readonly code: UnavailableCode
      readonly detail: string
      readonly retryAfterSeconds: number
    }
