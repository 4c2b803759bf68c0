export const PRICE_FAULT_CODES = [
  'invalidRequest',
  'unknownModel',
  'malformedDecimal',
  'negativeDecimal',
  'tooManyDigits',
  'tiersOutOfOrder',
  'missingLastTier',
] as const
export type PriceFaultCode = (typeof PRICE_FAULT_CODES)[number]

/** One fault of a price as it came from outside. */
export interface PriceFault {
  readonly code: PriceFaultCode
  /** What is wrong, for a person. */
  readonly detail: string
  /** JSON pointer (RFC 6901) to the faulty or missing member. */
  readonly pointer: string
}
