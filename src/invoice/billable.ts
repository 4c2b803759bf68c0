import type { CorrectionPolicy } from '../catalog/plan.ts'
import type { ChargeTerms } from '../catalog/price.ts'
import type { CustomerKey, MeterKey, PlanKey, SubjectId, SubscriptionId, TenantId } from '../id/ids.ts'
import type { Currency } from '../money/currency.ts'
import type { Decimal } from '../money/decimal.ts'
import type { BillingInterval } from '../time/billing-period.ts'
import type { Instant } from '../time/instant.ts'

/** Who is named on a document, line by line. Empty lines are left out. */
export interface Party {
  readonly name: string
  readonly addressLines: readonly string[]
  readonly taxId: string | null
  readonly email: string | null
}

interface TaxRate {
  readonly name: string
  /** A share: 0.19 is nineteen percent. */
  readonly rate: Decimal
}

/** A span in which a subject's usage is the customer's; null is open. */
export interface AttributedSubject {
  readonly subject: SubjectId
  readonly from: Instant | null
  readonly until: Instant | null
}

/** What an invoice must know of the customer. */
export interface BillableCustomer {
  readonly tenant: TenantId
  readonly key: CustomerKey
  readonly billTo: Party
  readonly currency: Currency
  readonly timezone: string
  readonly subjects: readonly AttributedSubject[]
  readonly taxRates: readonly TaxRate[]
  /** Days from issue to due; null takes the seller's. */
  readonly paymentTermsDays: number | null
  readonly purchaseOrder: string | null
  /** ISO 3166-1 alpha-2; where rate tables apply. */
  readonly country?: string | null
}

export interface BillablePrice {
  readonly key: string
  readonly name: string
  /** Null: a fee of the period, whatever is used. */
  readonly meter: MeterKey | null
  readonly payment: 'inAdvance' | 'inArrears'
  readonly terms: ChargeTerms
}

/** A plan version as the subscription has it, overrides applied. Prices in the plan's order. */
export interface BillablePlan {
  readonly key: PlanKey
  readonly version: number
  readonly name: string
  readonly currency: Currency
  readonly interval: BillingInterval
  /** Absent: the next invoice. */
  readonly corrections?: CorrectionPolicy
  /** The least and the most that all prices of a whole period come to together; absent or null is none. */
  readonly minimum?: Decimal | null
  readonly maximum?: Decimal | null
  readonly prices: readonly BillablePrice[]
}

/** A span in which one plan version is in force. Phases do not overlap; a pause is a gap between two. */
export interface BillablePhase {
  readonly start: Instant
  /** Null: until further notice. */
  readonly end: Instant | null
  readonly plan: BillablePlan
}

export interface BillableSubscription {
  readonly id: SubscriptionId
  readonly startsAt: Instant
  readonly anchorDay: number
  /** The zone whose midnights part the periods: the customer's when it subscribed, for boundaries under invoices must not move. */
  readonly timezone: string
  /** Ordered by start, never empty. */
  readonly phases: readonly BillablePhase[]
}
