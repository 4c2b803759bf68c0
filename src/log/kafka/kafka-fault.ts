import errors from 'kafkajs/src/protocol/error.js'

const TYPES = new Map(errors.errorCodes.map(({ code, type }) => [code, type]))

/** What a code of the protocol is called; codes that kafkajs does not know by their number. */
export function faultType(errorCode: number): string {
  return TYPES.get(errorCode) ?? `code ${errorCode}`
}

/** Said by a broker that another broker is meant, or that it is not ready yet: ask for the leader again. */
const STALE = new Set([3, 5, 6, 8, 9, 13, 15, 16, 56, 72, 74, 75, 78])
/** Said by a broker that the same request may succeed a little later. */
const PASSING = new Set([2, 7, 14, 19, 20, 41, 50, 80, 89])

/**
 * A request that did not do what it should. `isInDoubt`: it may have been done all the same. `isStale`: whom we
 * asked may not be the one to ask. `isPassing`: the same request may succeed later.
 */
export class KafkaFault extends Error {
  readonly errorCode: number | null
  readonly isInDoubt: boolean
  readonly isStale: boolean
  readonly isPassing: boolean

  constructor(
    message: string,
    nature: { readonly errorCode?: number; readonly isInDoubt: boolean; readonly cause?: unknown },
  ) {
    super(message, nature.cause === undefined ? undefined : { cause: nature.cause })
    this.name = 'KafkaFault'
    this.errorCode = nature.errorCode ?? null
    this.isInDoubt = nature.isInDoubt
    this.isStale = this.errorCode === null || STALE.has(this.errorCode)
    this.isPassing = this.isStale || PASSING.has(this.errorCode ?? 0)
  }
}

/**
 * Codes after which the records may be on the log, or come to be: the broker timed out waiting for replicas, had too
 * few of them after it had written, or does not know what went wrong.
 */
const IN_DOUBT = new Set([-1, 7, 13, 20, 56])

/** The fault that a broker answered with. */
export function brokerFault(what: string, errorCode: number): KafkaFault {
  return new KafkaFault(`${what}: ${faultType(errorCode)}`, {
    errorCode,
    isInDoubt: IN_DOUBT.has(errorCode),
  })
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
