import type { DimensionValues } from '../catalog/price.ts'
import type { Decimal } from '../money/decimal.ts'

export const RATED_LINE_KINDS = [
  'flat',
  'usage',
  'tierUsage',
  'tierFlat',
  'volumeUsage',
  'volumeFlat',
  'stair',
  'packages',
  'percentage',
  'perEvent',
  'eventBounds',
  'dynamic',
  'usageDiscount',
  'percentDiscount',
  'amountDiscount',
  'maximum',
  'minimum',
] as const
export type RatedLineKind = (typeof RATED_LINE_KINDS)[number]

/** One step of a charge. `amount` is exact and signed; the lines of an outcome add up to its exact amount. */
export interface RatedLine {
  readonly kind: RatedLineKind
  /** 1 is the first tier; 0 where there are no tiers. */
  readonly tier: number
  readonly quantity: Decimal
  readonly unitAmount: Decimal
  readonly amount: Decimal
  /** The cell of a matrix that the line belongs to. */
  readonly match?: DimensionValues
}

export interface Rated {
  readonly kind: 'rated'
  /** In the currency's minor unit, rounded once, half away from zero. */
  readonly amount: Decimal
  /** Not rounded. */
  readonly exactAmount: Decimal
  readonly lines: readonly RatedLine[]
}

export const RATING_ERROR_CODES = [
  'malformedJson',
  'invalidRequest',
  'unknownModel',
  'unknownCurrency',
  'malformedDecimal',
  'negativeDecimal',
  'tooManyDigits',
  'tiersOutOfOrder',
  'missingLastTier',
  'unmatchedGroup',
] as const
export type RatingErrorCode = (typeof RATING_ERROR_CODES)[number]

export interface RatingError {
  readonly code: RatingErrorCode
  /** What is wrong, for a person. */
  readonly detail: string
  /** JSON pointer into the request. */
  readonly pointer: string
}

export type RatingOutcome = Rated | { readonly kind: 'refused'; readonly error: RatingError }
