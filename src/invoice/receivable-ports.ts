import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import type { Decimal } from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'
import type { CreditNote, CreditNoteId, Invoice } from './invoice.ts'
import type { InvoiceState } from './lifecycle.ts'
import type { ReceivableDecision } from './receivable.ts'
import type { CreditNoteIssue, InvoicePosition } from './ports.ts'

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

interface CreditNotePage {
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
