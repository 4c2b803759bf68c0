import type { AnswerOptions } from '../../provision/http-answer.ts'
import type { LocalGate } from '../../provision/local-gate.ts'

/** What every door of the gate is made from: over HTTP and over gRPC. */
export interface GateDeps {
  readonly gate: LocalGate
  /** The header that carries keys, in small letters; null: `Authorization: Bearer`, else `X-Api-Key`. */
  readonly keyHeader: string | null
  readonly newRequestId: () => string
  /** Told of a fault of ours, which is answered 503. */
  readonly onFault: (error: unknown, requestId: string) => void
  readonly answer?: AnswerOptions
}
