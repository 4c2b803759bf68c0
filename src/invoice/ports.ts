import type {
  CustomerKey,
  InvoiceId,
  MeterKey,
  PlanKey,
  SubjectId,
  TenantId,
  TestClockId,
} from '../id/ids.ts'
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
import type { ReceivableDecision } from './receivable.ts'
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

export interface LedgerLine {
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
export interface InvoiceRecord {
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

export interface Payment {
  readonly id: string
  readonly invoice: InvoiceId
  /** `balance`: customer credit that was applied when the invoice was finalized. */
  readonly kind: 'manual' | 'balance'
  readonly amount: string
  /** What of it settled the invoice; the rest went to the customer's credit. */
  readonly applied: string
  readonly toBalance: string
  readonly currency: string
  readonly receivedAt: Instant
  readonly method: string | null
  readonly reference: string | null
  readonly note: string | null
  readonly returnedAt: Instant | null
  readonly returnReason: string | null
}

export interface HistoryEntry {
  readonly number: number
  /** `invoice.paid`, … */
  readonly event: string
  readonly state: InvoiceState
  readonly at: Instant
  readonly detail: Readonly<Record<string, string>>
}

export interface NewPayment {
  readonly id: string
  readonly amount: Decimal
  readonly receivedAt: Instant
  readonly method: string | null
  readonly reference: string | null
  readonly note: string | null
  /** The same key never records a second payment. */
  readonly idempotencyKey: string | null
}

export type CommandOutcome =
  | {
      readonly kind: 'done'
      readonly invoice: Invoice
      readonly payment: Payment | null
      readonly creditNote: CreditNote | null
    }
  /** The idempotency key was used for another amount. */
  | { readonly kind: 'keyReused' }
  | { readonly kind: 'unknownInvoice' }
  | { readonly kind: 'unknownPayment' }
  | { readonly kind: 'alreadyReturned'; readonly payment: Payment }
  | Exclude<ReceivableDecision, { readonly kind: 'changed' }>

export type InvoiceCommand =
  | { readonly kind: 'pay'; readonly payment: NewPayment }
  | { readonly kind: 'returnPayment'; readonly payment: string; readonly reason: string | null }
  /** @param rebill whether the bill run closes the period anew by itself */
  | { readonly kind: 'void'; readonly reason: string | null; readonly rebill: boolean }
  | { readonly kind: 'writeOff'; readonly reason: string | null }

/** What becomes of finalized invoices. Every command is one transaction with what is told of it, or nothing. */
export interface ReceivablesStore {
  command(tenant: TenantId, invoice: InvoiceId, command: InvoiceCommand, at: Instant): Promise<CommandOutcome>
  /** Issues a credit note, if nobody changed the ledger that it was computed from. */
  credit(
    tenant: TenantId,
    customer: CustomerKey,
    basedOn: number,
    issue: CreditNoteIssue,
    at: Instant,
  ): Promise<CommandOutcome | { readonly kind: 'outdated' }>
  payments(tenant: TenantId, invoice: InvoiceId): Promise<readonly Payment[]>
  history(tenant: TenantId, invoice: InvoiceId): Promise<readonly HistoryEntry[]>
  /** The customer's credit by currency, as decimal text; below zero is owed. */
  balance(tenant: TenantId, customer: CustomerKey): Promise<ReadonlyMap<string, string>>
}

export interface CreditNotePage {
  readonly data: readonly CreditNote[]
  readonly next: InvoicePosition | null
}

export interface CreditNoteStore {
  get(tenant: TenantId, id: CreditNoteId): Promise<CreditNote | null>
  /** Latest first. */
  list(
    tenant: TenantId,
    filter: {
      readonly customer: CustomerKey | null
      readonly invoice: InvoiceId | null
      readonly limit: number
      readonly after: InvoicePosition | null
    },
  ): Promise<CreditNotePage>
}

export interface InvoiceMetrics {
  closed(outcome: 'finalized' | 'existing' | 'refused', seconds: number): void
  finalized(currency: string, total: string): void
}

/** Which customers a bill run is about: all, or those that live by one test clock. */
export interface BillScope {
  readonly tenant: TenantId
  readonly testClock: TestClockId
}

export interface StaleBilling {
  readonly tenant: TenantId
  readonly customer: CustomerKey
  /** Of the entry as it was read. */
  readonly revision: number
  /** Closes that had nothing to bill. */
  readonly passed: readonly Instant[]
}

export interface DueBilling {
  readonly tenant: TenantId
  readonly customer: CustomerKey
  readonly periodEnd: Instant
  /** The customer's present: its test clock's, else the system's. */
  readonly now: Instant
}

/** When each customer is billed next. Entries become stale with the change that makes them so. */
export interface BillSchedule {
  stale(scope: BillScope | null, limit: number): Promise<readonly StaleBilling[]>
  /** Keeps the next close of an entry, unless the entry has changed since it was read. */
  reschedule(entries: readonly (StaleBilling & { readonly nextClose: Instant | null })[]): Promise<void>
  /** Entries whose next close is at least `graceMs` ago, by the customers' clocks; the oldest first. */
  due(request: {
    readonly systemNow: Instant
    readonly graceMs: number
    readonly scope: BillScope | null
    /** Those that are held and whose time to try again has not come. */
    readonly includeHeld: boolean
    readonly limit: number
  }): Promise<readonly DueBilling[]>
  /** The close had nothing to bill: it is done. */
  pass(entry: DueBilling): Promise<void>
  /** The close failed: it is tried again at `retryAt` by the system's clock, or when something changes. */
  hold(
    entry: DueBilling,
    reason: { readonly kind: string; readonly detail: string },
    since: Instant,
    retryAt: Instant,
  ): Promise<void>
  /** What is held and why, by customer. */
  held(tenant: TenantId, limit: number): Promise<readonly HeldBilling[]>
  /**
   * Runs the work for those entries that nobody else works on now. A process that dies lets go of its entries at once.
   * Answers the entries that were somebody else's.
   */
  exclusively(
    entries: readonly DueBilling[],
    work: (own: readonly DueBilling[]) => Promise<void>,
  ): Promise<readonly DueBilling[]>
  /** Resolves when nobody works on the customer any more. */
  whenFree(entry: Pick<DueBilling, 'tenant' | 'customer'>): Promise<void>
}

export interface HeldBilling {
  readonly customer: CustomerKey
  readonly periodEnd: Instant
  readonly kind: string
  readonly detail: string
  readonly since: Instant
  readonly retryAt: Instant
}

/** Usage of many subjects in one question. */
export interface UsageBySubject {
  usageBySubject(question: UsageAtCut): Promise<readonly (UsageAtCutRow & { readonly subject: SubjectId })[]>
}

export interface BillRunMetrics {
  closed(outcome: 'finalized' | 'credited' | 'existing' | 'empty' | 'held', count: number): void
  batch(customers: number, seconds: number): void
  /** How late the oldest close of a batch was finalized, after its grace. */
  late(seconds: number): void
}
