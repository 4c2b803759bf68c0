import type { PriceFaultCode } from '../catalog/price-fault.ts'
import type { DimensionValues } from '../catalog/price.ts'
import type { Decimal } from '../money/decimal.ts'

export type RatedLineKind =
  | 'flat'
  | 'usage'
  | 'tierUsage'
  | 'tierPackages'
  | 'tierFlat'
  | 'volumeUsage'
  | 'volumePackages'
  | 'volumeFlat'
  | 'stair'
  | 'packages'
  | 'percentage'
  | 'perEvent'
  | 'eventBounds'
  | 'dynamic'
  | 'usageDiscount'
  | 'percentDiscount'
  | 'amountDiscount'
  | 'overage'
  | 'trueUp'
  | 'maximum'
  | 'minimum'

/**
 * One step of a charge: `amount = quantity * unitAmount`, exact and signed. The lines of an outcome add up to its exact
 * amount. The quantity of a share (percentages, percent discounts) is the amount of money that it is a share of.
 */
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
  /** What the earlier parts of the period came to, not rounded; null when there was none. */
  readonly previousExactAmount: Decimal | null
}

export type RatingErrorCode = PriceFaultCode | 'malformedJson' | 'unknownCurrency' | 'unmatchedGroup'

export interface RatingError {
  readonly code: RatingErrorCode
  /** What is wrong, for a person. */
  readonly detail: string
  /** JSON pointer into the request. */
  readonly pointer: string
}

export type RatingOutcome = Rated | { readonly kind: 'refused'; readonly error: RatingError }
