import type { CustomerKey, InvoiceId, MeterKey, PlanKey, SubjectId, TenantId } from '../id/ids.ts'
import type { Decimal } from '../money/decimal.ts'
import type { Instant, Interval } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { Meter } from '../usage/meter.ts'
import type { EventsAtCutRequest, EventsPage } from '../usage/usage-query.ts'
import type { BillableCustomer, BillableSubscription } from './billable.ts'
import type {
  CreditNote,
  CreditNoteDocument,
  CreditNoteId,
  Invoice,
  InvoiceDocument,
  InvoiceLine,
  LineTaxRate,
} from './invoice.ts'
import type { InvoiceState } from './lifecycle.ts'
import type { TaxRounding } from './tax.ts'
import type { TaxTerms } from './tax-lines.ts'

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

/** The events behind a quantity, in pages, at the same cut. */
export interface UsageEvidence {
  eventsAtCut(request: EventsAtCutRequest): Promise<EventsPage>
}

export interface TaxQuestion {
  readonly customer: BillableCustomer
  readonly lines: readonly {
    readonly plan: PlanKey
    readonly price: string
    /** The end of the service. */
    readonly taxPoint: Instant
  }[]
}

export type TaxAnswer =
  | {
      readonly kind: 'determined'
      readonly behavior: 'exclusive' | 'inclusive'
      readonly rounding: TaxRounding
      /** Of each line, in their order. */
      readonly rates: readonly (readonly LineTaxRate[])[]
      readonly notes: readonly string[]
    }
  /** Nothing is finalized with a guess. */
  | { readonly kind: 'unavailable'; readonly detail: string }

/** Which rates apply. Corrections never ask: they are taxed as what they correct. */
export interface TaxEngine {
  determine(question: TaxQuestion): Promise<TaxAnswer>
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
    readonly taxBehavior: TaxTerms['behavior']
    readonly taxRounding: TaxTerms['rounding']
    readonly total: string
    /** Of a void one: whether the bill run closes its period anew. */
    readonly rebill: boolean
  }[]
  /** Lines of invoices that are not void, in the order of their invoices. */
  readonly lines: readonly LedgerLine[]
  /** Keys of charges that stand on void invoices: what is left of them is rated anew, however old they are. */
  readonly voided: ReadonlySet<string>
  readonly creditNotes: readonly {
    readonly id: CreditNoteId
    readonly number: string
    readonly correctsInvoice: InvoiceId
    /** The close that made it; null where somebody decided it. */
    readonly closesAt: Instant | null
    readonly total: string
    readonly lines: readonly InvoiceLine[]
  }[]
}

interface LedgerLine {
  readonly invoice: InvoiceId
  readonly number: string
  readonly line: InvoiceLine
}

/** A finished document: what is stored is exactly what was hashed. */
export interface SealedInvoice {
  readonly document: InvoiceDocument
  /** Canonical JSON. */
  readonly text: string
  readonly hash: string
}

export interface SealedCreditNote {
  readonly document: CreditNoteDocument
  readonly text: string
  readonly hash: string
}

/** A credit note before it has a number. `closesAt` as in the ledger. */
export interface CreditNoteIssue {
  readonly invoice: InvoiceId
  readonly closesAt: Instant | null
  readonly total: Decimal
  /** Called within the transaction that takes the number. Pure. */
  readonly seal: (number: string, previousHash: string | null) => SealedCreditNote
}

export interface Finalization {
  readonly tenant: TenantId
  readonly customer: CustomerKey
  readonly periodEnd: Instant
  readonly issuedAt: Instant
  /** The ledger that the draft was computed from. */
  readonly basedOn: number
  /** Null: the close makes credit notes only. */
  readonly invoice: {
    readonly total: Decimal
    /** What is needed to compute the invoice again at its cut; not part of the document. */
    readonly basis: string
    /** Called within the transaction that takes the number. Pure. */
    readonly seal: (number: string, previousHash: string | null) => SealedInvoice
  } | null
  readonly creditNotes: readonly CreditNoteIssue[]
}

export type FinalizeOutcome =
  | { readonly kind: 'finalized'; readonly invoice: Invoice; readonly creditNotes: readonly CreditNote[] }
  | { readonly kind: 'credited'; readonly creditNotes: readonly [CreditNote, ...CreditNote[]] }
  /** Somebody else changed the customer's invoices meanwhile: compute again. No number was taken. */
  | { readonly kind: 'outdated' }

/** A place in a list of documents. */
export interface InvoicePosition {
  readonly issuedAt: Instant
  /** Of an invoice or a credit note. */
  readonly id: string
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
  /** Of each customer, one that has no invoices yet included. */
  ledgers(
    tenant: TenantId,
    customers: readonly CustomerKey[],
  ): Promise<ReadonlyMap<CustomerKey, CustomerLedger>>
  /** Number, header, lines and the new version of the ledger in one transaction, or nothing. */
  finalize(finalization: Finalization): Promise<FinalizeOutcome>
  /** As `finalize`, for many customers in one transaction; an outdated one does not touch the others. */
  finalizeMany(finalizations: readonly Finalization[]): Promise<readonly FinalizeOutcome[]>
  get(tenant: TenantId, id: InvoiceId): Promise<Invoice | null>
  creditNote(tenant: TenantId, id: CreditNoteId): Promise<CreditNote | null>
  /** Latest first. */
  list(tenant: TenantId, filter: InvoiceFilter): Promise<InvoicePage>
}

/** What an invoice was computed from and what was stored of it. */
interface InvoiceRecord {
  readonly tenant: TenantId
  readonly customer: CustomerKey
  /** The stored bytes. */
  readonly text: string
  readonly hash: string
  readonly basis: string
  /** Hash of the invoice with the number before; null for the first. */
  readonly hashBefore: string | null
}

export interface InvoiceArchive {
  record(tenant: TenantId, id: InvoiceId): Promise<InvoiceRecord | null>
}

export interface InvoiceMetrics {
  closed(outcome: 'finalized' | 'existing' | 'refused', seconds: number): void
  finalized(currency: string, total: string): void
}
