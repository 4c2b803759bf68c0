import type { CustomerKey, InvoiceId, MeterKey, SubjectId, TenantId } from '../id/ids.ts'
import type { Instant, Interval } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { Meter } from '../usage/meter.ts'
import type { BillableCustomer, BillableSubscription } from './billable.ts'
import type { Invoice, InvoiceDocument, InvoiceLine } from './invoice.ts'
import type { InvoiceState } from './lifecycle.ts'

/** Who is billed for what: the control plane as invoicing sees it. */
export interface BillingDirectory {
  customer(tenant: TenantId, customer: CustomerKey): Promise<BillableCustomer | null>
  /** All subscriptions the customer ever had, by start. */
  subscriptions(tenant: TenantId, customer: CustomerKey): Promise<readonly BillableSubscription[]>
  /** Null revision: the meter as it is now. */
  meter(tenant: TenantId, meter: MeterKey, revision: number | null): Promise<Meter | null>
}

export interface UsageAtCut {
  readonly tenant: TenantId
  readonly meter: Meter
  readonly subjects: readonly SubjectId[]
  readonly interval: Interval
  /** Dimensions whose values part the quantity into groups. */
  readonly groupBy: readonly string[]
  readonly cut: Cut
}

/** Usage as the log has it: canonical events before a cut, the same answer for the same cut for ever. */
export interface UsageSource {
  /** Where the log ends now. */
  endOffsets(): Promise<Cut>
  /** Waits until every event before the cut is countable; false when that takes longer than `timeoutMs`. */
  waitForJournal(cut: Cut, timeoutMs: number): Promise<boolean>
  /** One row a group; exactly one where nothing is grouped by. */
  usageAtCut(question: UsageAtCut): Promise<readonly UsageAtCutRow[]>
}

export interface UsageAtCutRow {
  readonly group: Readonly<Record<string, string>>
  /** Exact decimal text; null where the aggregation of no events has no value. */
  readonly value: string | null
  /** Canonical events behind the value. */
  readonly events: number
}

export interface CustomerTime {
  /** The test clock's now where the customer lives by one, else the system's. */
  nowOf(tenant: TenantId, customer: CustomerKey): Promise<Instant>
}

export interface ConservationCheck {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

/** Whether every record before the cut is accounted for. A mismatch refuses to finalize. */
export interface ConservationChecks {
  run(tenant: TenantId, cut: Cut): Promise<readonly ConservationCheck[]>
}

/** What stands on a customer's invoices, and how often that has changed. */
export interface CustomerLedger {
  /** Grows with every change. A finalization names the version that it was computed from. */
  readonly version: number
  /** Every invoice, void ones too, in the order of their numbers. */
  readonly invoices: readonly {
    readonly id: InvoiceId
    readonly number: string
    readonly state: InvoiceState
    readonly periodEnd: Instant
    readonly issuedAt: Instant
  }[]
  /** Lines of invoices that are not void, in the order of their invoices. */
  readonly lines: readonly { readonly number: string; readonly line: InvoiceLine }[]
}

/** A finished document: what is stored is exactly what was hashed. */
export interface SealedInvoice {
  readonly document: InvoiceDocument
  /** Canonical JSON. */
  readonly text: string
  readonly hash: string
}

export interface Finalization {
  readonly tenant: TenantId
  readonly customer: CustomerKey
  readonly periodEnd: Instant
  /** The ledger that the draft was computed from. */
  readonly basedOn: number
  /** What is needed to compute the invoice again at its cut; not part of the document. */
  readonly basis: string
  /** Called within the transaction that takes the number. Pure. */
  readonly seal: (number: string, previousHash: string | null) => SealedInvoice
}

export type FinalizeOutcome =
  | { readonly kind: 'finalized'; readonly invoice: Invoice }
  /** Somebody else changed the customer's invoices meanwhile: compute again. No number was taken. */
  | { readonly kind: 'outdated' }

/** A place in the list of invoices. */
export interface InvoicePosition {
  readonly issuedAt: Instant
  readonly id: InvoiceId
}

export interface InvoiceFilter {
  readonly customer: CustomerKey | null
  readonly state: InvoiceState | null
  readonly limit: number
  /** Null: from the latest on. */
  readonly after: InvoicePosition | null
}

export interface InvoicePage {
  readonly data: readonly Invoice[]
  /** Where the next page begins; null at the end. */
  readonly next: InvoicePosition | null
}

export interface InvoiceStore {
  ledger(tenant: TenantId, customer: CustomerKey): Promise<CustomerLedger>
  /** Number, header, lines and the new version of the ledger in one transaction, or nothing. */
  finalize(finalization: Finalization): Promise<FinalizeOutcome>
  get(tenant: TenantId, id: InvoiceId): Promise<Invoice | null>
  /** Latest first. */
  list(tenant: TenantId, filter: InvoiceFilter): Promise<InvoicePage>
}

export interface InvoiceMetrics {
  closed(outcome: 'finalized' | 'existing' | 'refused', seconds: number): void
  finalized(currency: string, total: string): void
}
