import { formatInstant, type Instant } from '../time/instant.ts'
import { endOfLocalDay } from '../time/local-day.ts'
import type { Cut } from '../usage/coordinate.ts'
import { decimal } from '../money/decimal.ts'
import { invoiceIdOf, totalsOf } from './assemble.ts'
import type { BillableCustomer, Party } from './billable.ts'
import { canonicalJson, type Json, sha256Hex } from './canonical-json.ts'
import type { Invoice, InvoiceDocument, InvoiceLine } from './invoice.ts'
import type { SealedInvoice } from './ports.ts'

/** Who sends the invoices. */
export interface Seller extends Party {
  readonly paymentTermsDays: number
  /** How to pay, printed at the foot of documents. */
  readonly paymentLines: readonly string[]
}

export interface DraftParts {
  readonly seller: Seller
  readonly customer: BillableCustomer
  readonly periodStart: Instant
  readonly periodEnd: Instant
  /** How many void invoices of the same period end came before. */
  readonly attempt: number
  readonly cut: Cut
  readonly lines: readonly InvoiceLine[]
}

/** The invoice without a number: what a preview shows and what the close completes. Pure. */
export function draftDocument(parts: DraftParts): InvoiceDocument {
  const { seller, customer, lines } = parts
  const amounts = lines.map((line) => ({ amount: decimal(line.amount) }))
  return {
    id: invoiceIdOf(customer.tenant, customer.key, parts.periodEnd, parts.attempt),
    number: null,
    seller: party(seller),
    paymentLines: seller.paymentLines,
    customer: customer.key,
    billTo: party(customer.billTo),
    purchaseOrder: customer.purchaseOrder,
    currency: customer.currency,
    timezone: customer.timezone,
    periodStart: formatInstant(parts.periodStart),
    periodEnd: formatInstant(parts.periodEnd),
    issuedAt: null,
    dueAt: null,
    cut: parts.cut,
    lines,
    ...totalsOf(amounts, customer.taxRates, customer.currency),
    previousHash: null,
  }
}

/** Completes a draft with what only the finalization knows. The same arguments give the same bytes. Pure. */
export function sealDocument(
  draft: InvoiceDocument,
  number: string,
  previousHash: string | null,
  issuedAt: Instant,
  termsDays: number,
): SealedInvoice {
  const document: InvoiceDocument = {
    ...draft,
    number,
    issuedAt: formatInstant(issuedAt),
    dueAt: formatInstant(endOfLocalDay(issuedAt, termsDays, draft.timezone)),
    previousHash,
  }
  const text = documentText(document)
  return { document, text, hash: sha256Hex(text) }
}

/** A draft as an invoice: its hash is that of the draft, which a number will change. */
export function draftInvoice(draft: InvoiceDocument): Invoice {
  return { ...draft, state: 'draft', hash: sha256Hex(documentText(draft)) }
}

/** The bytes that the hash covers, as UTF-8 text. */
export function documentText(document: InvoiceDocument): string {
  return canonicalJson(document as unknown as Json)
}

function party({ name, addressLines, taxId, email }: Party): Party {
  return { name, addressLines, taxId, email }
}
