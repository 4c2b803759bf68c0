import type { CustomerKey, SubjectId, TenantId, TestClockId } from '../id/ids.ts'
import type { Currency } from '../money/currency.ts'
import type { Instant } from '../time/instant.ts'

/** A postal address; every part is optional, for countries differ in what they have. */
export interface PostalAddress {
  readonly line1?: string
  readonly line2?: string
  readonly city?: string
  readonly region?: string
  readonly postalCode?: string
  /** ISO 3166-1 alpha-2. */
  readonly country?: string
}

export interface CustomerTaxRate {
  readonly name: string
  /** A share as decimal text: `0.19` is nineteen percent. */
  readonly rate: string
}

/** What stands on the customer's invoices. */
export interface BillingDetails {
  readonly legalName?: string
  readonly email?: string
  readonly address?: PostalAddress
  readonly taxId?: string
  /** Days from issue to due. */
  readonly paymentTermsDays?: number
  readonly purchaseOrder?: string
  readonly taxRates?: readonly CustomerTaxRate[]
}

/** What a tenant says of a customer. */
export interface CustomerDefinition {
  readonly name: string
  /** Whose usage it pays for, each subject once, in the order given. */
  readonly subjects: readonly SubjectId[]
  readonly currency: Currency
  /** IANA. Days, months and billing periods are cut in it. */
  readonly timezone: string
  readonly billing: BillingDetails
  /** Null: lives by the system's clock. */
  readonly testClock: TestClockId | null
}

/** Who pays. */
export interface Customer extends CustomerDefinition {
  readonly tenant: TenantId
  readonly key: CustomerKey
  readonly createdAt: Instant
  readonly updatedAt: Instant
}

/** A span in which a subject's usage is the customer's; null is open. A subject that moves leaves its past usage behind. */
export interface Attribution {
  readonly subject: SubjectId
  readonly from: Instant | null
  readonly until: Instant | null
}
