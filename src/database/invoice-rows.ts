import type { InvoiceId } from '../id/ids.ts'
import { amountText } from '../invoice/command.ts'
import type { CreditNote, CreditNoteDocument, Invoice, InvoiceDocument } from '../invoice/invoice.ts'
import type { InvoiceState } from '../invoice/lifecycle.ts'
import type { Payment } from '../invoice/receivable-ports.ts'
import type { Currency } from '../money/currency.ts'
import { decimal, isZero, subtract } from '../money/decimal.ts'
import { instantOf } from '../time/instant.ts'

/** The columns that an invoice is read from. */
export const INVOICE_COLUMNS = ['document', 'state', 'hash', 'amount_paid', 'amount_credited'] as const

export function invoiceOf(row: {
  readonly document: string
  readonly state: string
  readonly hash: string
  readonly amount_paid: string
  readonly amount_credited: string
}): Invoice {
  const document = invoiceDocumentOf(row.document)
  const currency = document.currency as Currency
  return {
    ...document,
    state: row.state as InvoiceState,
    amountPaid: amountText(decimal(row.amount_paid), currency),
    amountCredited: amountText(decimal(row.amount_credited), currency),
    hash: row.hash,
  }
}

export function invoiceDocumentOf(text: string): InvoiceDocument {
  return JSON.parse(text) as InvoiceDocument
}

export function creditNoteOf(row: {
  readonly document: string
  readonly hash: string
  readonly total: string
  readonly applied: string
}): CreditNote {
  const document = JSON.parse(row.document) as CreditNoteDocument
  const currency = document.currency as Currency
  const rest = subtract(decimal(row.total), decimal(row.applied))
  return {
    ...document,
    state: isZero(rest) ? 'applied' : 'balance',
    appliedToInvoice: amountText(decimal(row.applied), currency),
    addedToBalance: amountText(rest, currency),
    hash: row.hash,
  }
}

export function paymentOf(row: {
  readonly id: string
  readonly invoice: string
  readonly kind: string
  readonly amount: string
  readonly applied: string
  readonly currency: string
  readonly received_at: Date
  readonly method: string | null
  readonly reference: string | null
  readonly note: string | null
  readonly idempotency_key: string | null
  readonly returned_at: Date | null
  readonly return_reason: string | null
}): Payment & { readonly idempotencyKey: string | null } {
  const currency = row.currency as Currency
  return {
    id: row.id,
    invoice: row.invoice as InvoiceId,
    kind: row.kind as Payment['kind'],
    amount: amountText(decimal(row.amount), currency),
    applied: amountText(decimal(row.applied), currency),
    toBalance: amountText(subtract(decimal(row.amount), decimal(row.applied)), currency),
    currency: row.currency,
    receivedAt: instantOf(row.received_at.getTime()),
    method: row.method,
    reference: row.reference,
    note: row.note,
    returnedAt: row.returned_at === null ? null : instantOf(row.returned_at.getTime()),
    returnReason: row.return_reason,
    idempotencyKey: row.idempotency_key,
  }
}
