import type { MeterKey, PlanKey, TenantId } from '../id/ids.ts'
import type { Currency } from '../money/currency.ts'
import type { Decimal } from '../money/decimal.ts'
import type { BillingInterval } from '../time/billing-period.ts'
import type { Instant } from '../time/instant.ts'
import type { ChargeTerms } from './price.ts'

export const PAYMENTS = ['inAdvance', 'inArrears'] as const
type Payment = (typeof PAYMENTS)[number]

/**
 * What a new version means to those who are subscribed already: nothing, the new prices from their next billing
 * period on, or from the moment it takes effect. Never anything before that moment.
 */
export const VERSION_POLICIES = ['grandfather', 'nextRenewal', 'immediate'] as const
export type VersionPolicy = (typeof VERSION_POLICIES)[number]

/**
 * What becomes of late usage that makes a closed period cheaper: a negative line on the next invoice, or a credit note on
 * the invoice that billed it.
 */
export const CORRECTION_POLICIES = ['nextInvoice', 'creditNote'] as const
export type CorrectionPolicy = (typeof CORRECTION_POLICIES)[number]

/** The key that the minimum and maximum of a plan have on invoices; no price of such a plan may have it. */
export const PLAN_TOTAL_KEY = 'plan-total'

export interface PlanPrice {
  /** Unique within the plan. */
  readonly key: string
  readonly name: string
  /** Null: a fee of the period, whatever is used. */
  readonly meter: MeterKey | null
  readonly payment: Payment
  readonly terms: ChargeTerms
}

/** A plan as the tenant wrote it, members in order: what `GET` answers and what two versions are compared by. */
type PlanDocument = Readonly<Record<string, unknown>>

/** What is sold and how it is charged. */
export interface PlanDefinition {
  readonly name: string
  readonly currency: Currency
  readonly interval: BillingInterval
  readonly corrections: CorrectionPolicy
  /** The least that all prices of a period come to together; null is none. */
  readonly minimum: Decimal | null
  /** The most that they come to together; null is none. */
  readonly maximum: Decimal | null
  readonly prices: readonly PlanPrice[]
  readonly document: PlanDocument
}

/** A plan at one of its versions. Versions never change. */
export interface PlanVersion extends PlanDefinition {
  readonly tenant: TenantId
  readonly key: PlanKey
  /** 1, 2, … */
  readonly version: number
  /** Null: since it was written. The first version is in force for all time before, too. */
  readonly effectiveAt: Instant | null
  readonly existingSubscriptions: VersionPolicy
  readonly createdAt: Instant
}
