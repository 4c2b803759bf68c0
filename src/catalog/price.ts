import type { Decimal } from '../money/decimal.ts'

export const PRICE_MODELS = [
  'flat',
  'unit',
  'graduated',
  'volume',
  'stairstep',
  'package',
  'percentage',
  'graduatedPercentage',
  'dynamic',
  'matrix',
] as const
export type PriceModel = (typeof PRICE_MODELS)[number]

/** An amount that does not depend on the quantity. */
export interface FlatPrice {
  readonly model: 'flat'
  readonly amount: Decimal
}

export interface UnitPrice {
  readonly model: 'unit'
  readonly unitAmount: Decimal
}

/** A band of quantity: above the tier before, up to and including `upTo`; null is the last tier, without an end. */
export interface Tier {
  readonly upTo: Decimal | null
  /** Null makes no line for units; an amount of 0 makes a line of 0, so that free units can be seen. */
  readonly unitAmount: Decimal | null
  /** Charged once when the tier is entered; null for none. */
  readonly flatAmount: Decimal | null
  /** Where set, the unit amount is for each begun package of this size; null prices single units. */
  readonly packageSize: Decimal | null
}

/** Each unit at the amount of its own tier. */
export interface GraduatedPrice {
  readonly model: 'graduated'
  readonly tiers: readonly Tier[]
  /** Whether the first tier's flat amount is due although nothing was used. */
  readonly flatFeeOnZeroUsage: boolean
}

/** Every unit at the amount of the tier that the whole quantity reaches. */
export interface VolumePrice {
  readonly model: 'volume'
  readonly tiers: readonly Tier[]
  readonly flatFeeOnZeroUsage: boolean
}

interface Stair {
  readonly upTo: Decimal | null
  readonly amount: Decimal
}

/** One amount for the stair that the whole quantity reaches; nothing at zero usage. */
export interface StairstepPrice {
  readonly model: 'stairstep'
  readonly tiers: readonly Stair[]
}

/** An amount for each begun package of what goes beyond the free units. */
export interface PackagePrice {
  readonly model: 'package'
  readonly packageSize: Decimal
  readonly amount: Decimal
  readonly freeUnits: Decimal
}

/** A share of an amount of money: the quantity is the sum of the events' amounts. */
export interface PercentagePrice {
  readonly model: 'percentage'
  /** In percent: 2.5 is two and a half of a hundred. */
  readonly rate: Decimal
  /** For each event that is charged. */
  readonly fixedAmount: Decimal
  /** Bounds of what one event costs, its fixed amount included. */
  readonly perEvent: { readonly min: Decimal | null; readonly max: Decimal | null } | null
  /** The part of the sum that is free, consumed in the order of the events; 0 is none. */
  readonly freeUnits: Decimal
  /** Only this many first events can be free: with free units, of those; without, altogether. 0 is no such bound. */
  readonly freeEvents: number
}

export interface PercentageTier {
  readonly upTo: Decimal | null
  /** In percent. */
  readonly rate: Decimal
  readonly flatAmount: Decimal | null
}

/** Each part of an amount of money at the rate of its own tier. */
export interface GraduatedPercentagePrice {
  readonly model: 'graduatedPercentage'
  readonly tiers: readonly PercentageTier[]
  readonly flatFeeOnZeroUsage: boolean
}

/** The quantity is already an amount of money. */
export interface DynamicPrice {
  readonly model: 'dynamic'
  readonly multiplier: Decimal
}

/** Values of dimensions: `{ region: 'eu', size: 'large' }`. */
export type DimensionValues = Readonly<Record<string, string>>

/** A cell matches a group that has all of the cell's values. */
export interface MatrixCell {
  readonly match: DimensionValues
  readonly price: SimplePrice
}

/** The price of a group of usage follows from the values of its dimensions. The first cell that matches counts. */
export interface MatrixPrice {
  readonly model: 'matrix'
  readonly dimensions: readonly string[]
  readonly cells: readonly MatrixCell[]
  /** For groups that no cell matches; null refuses them. */
  readonly otherwise: SimplePrice | null
}

/** What a cell of a matrix may hold: any price but a matrix. */
export type SimplePrice =
  | FlatPrice
  | UnitPrice
  | GraduatedPrice
  | VolumePrice
  | StairstepPrice
  | PackagePrice
  | PercentagePrice
  | GraduatedPercentagePrice
  | DynamicPrice
export type Price = SimplePrice | MatrixPrice

/** A share of the amount, an amount, or units that are free before pricing. */
export type Discount = (
  | { readonly kind: 'percent'; readonly percent: Decimal }
  | { readonly kind: 'amount'; readonly amount: Decimal }
  | { readonly kind: 'usage'; readonly units: Decimal }
) & {
  /** Of a plan: for how many billing periods from the one in which the subscription came to it. Absent: for all. */
  readonly periods?: number
}

/** From the unit that is metered to the unit that is sold, before discounts and pricing. */
export interface UnitConversion {
  readonly operation: 'divide' | 'multiply'
  readonly factor: Decimal
  readonly rounding: 'none' | 'ceiling' | 'floor' | 'halfUp'
  /** Digits behind the point that rounding keeps. */
  readonly digits: number
}

/** Spend that a customer has committed to for a period, and what comes beyond it. */
export interface Commitment {
  readonly amount: Decimal
  /** What goes beyond the commitment costs this many times its price; 1 is the price itself. */
  readonly overageFactor: Decimal
  /** Whether a period that comes to less is charged up to the commitment at its end. */
  readonly trueUp: boolean
}

export const PRORATION_CONVENTIONS = ['actualDays', 'fixed30', 'thirty360', 'second', 'none'] as const
/**
 * How the share of a period that a fee covers is counted.
 * - `actualDays`: days of the zone's calendar over the days of the period. The default.
 * - `fixed30`: days less what the months whose end is crossed have beyond 30, so that a month has 30.
 * - `thirty360`: 30E/360: every month has 30 days, and the 31st counts as the 30th.
 * - `second`: time that passed over the time of the period.
 * - `none`: any service is charged as the whole period.
 */
export type ProrationConvention = (typeof PRORATION_CONVENTIONS)[number]

/** How a quantity becomes an amount: the price and what stands around it. The same in a plan and in a rating request. */
export interface ChargeTerms {
  readonly price: Price
  readonly conversion: UnitConversion | null
  readonly discounts: readonly Discount[]
  /** The least of a period's amount; null is none. */
  readonly minimum: Decimal | null
  /** The most of a period's amount; null is none. */
  readonly maximum: Decimal | null
  /** Null is none. */
  readonly commitment: Commitment | null
  /** For fees that cover a part of their period. */
  readonly proration: ProrationConvention
}
