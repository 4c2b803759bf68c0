import type { ChargeTerms, DimensionValues } from '../catalog/price.ts'
import type { Currency } from '../money/currency.ts'
import type { Decimal } from '../money/decimal.ts'

/** A part of a quantity with its own values of a matrix's dimensions. */
export interface QuantityGroup {
  readonly match: DimensionValues
  readonly quantity: Decimal
  /** Of the same period and group, already billed. */
  readonly previousQuantity?: Decimal
}

/** The amounts of single events in their order, or only how many they were. */
export type EventAmounts =
  | { readonly kind: 'amounts'; readonly amounts: readonly Decimal[] }
  | { readonly kind: 'count'; readonly count: number }

/**
 * Which part of a period is billed.
 * - `whole`: all of it, or the part after `previousQuantity`, whose own bill had the minimum and volume prices in it.
 * - `open`: a part before the last. Volume and stairstep prices, flat prices in arrears and the minimum wait for the close.
 * - `closing`: the last part after open ones.
 */
export type PeriodPart = 'whole' | 'open' | 'closing'

/** What is rated. Absent means: one whole period, nothing billed before. */
export interface RatingRequest extends ChargeTerms {
  readonly currency: Currency
  /** Of this part of the period, in the metered unit; 0 or more. */
  readonly quantity: Decimal
  /** Of the same period, already billed. */
  readonly previousQuantity?: Decimal
  readonly part?: PeriodPart
  /** With which part a flat price is due: the first (absent) or the closing one. */
  readonly payment?: 'inAdvance' | 'inArrears'
  /** For matrix prices; the quantities add up to `quantity`. */
  readonly groups?: readonly QuantityGroup[]
  /** For percentage prices: what is known of the single events. Absent is one event of the whole quantity. */
  readonly events?: EventAmounts
}
