import type { DeliveryStats } from './delivery.ts'
import type { SpoolStats } from './spool-port.ts'

/** Counts since the client was made. `recorded + recovered = durable + rejected + dropped + bufferedEvents`, always. */
export interface ClientStats extends DeliveryStats {
  /** Events that were taken. */
  readonly recorded: number
  /** Events that the spool kept from an earlier process. */
  readonly recovered: number
  /** Acknowledged by the server. */
  readonly durable: number
  /** Rejected by the server for good. */
  readonly rejected: number
  /** Given up for newer ones, by `whenFull: 'dropOldest'`. */
  readonly dropped: number
  /** Never taken: by the code that `record` answered. */
  readonly refused: Readonly<Record<string, number>>
  readonly bufferedEvents: number
  readonly bufferedBytes: number
  /** Calls of `recordDurably` that wait for room. */
  readonly blocked: number
  readonly spool: SpoolStats | null
}
