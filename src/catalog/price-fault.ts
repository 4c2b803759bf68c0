export type PriceFaultCode =
  | 'invalidRequest'
  | 'unknownModel'
  | 'malformedDecimal'
  | 'negativeDecimal'
  | 'tooManyDigits'
  | 'tiersOutOfOrder'
  | 'missingLastTier'

/** One fault of a price as it came from outside. */
export interface PriceFault {
  readonly code: PriceFaultCode
  /** What is wrong, for a person. */
  readonly detail: string
  /** JSON pointer (RFC 6901) to the faulty or missing member. */
  readonly pointer: string
}
