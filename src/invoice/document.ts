import { formatInstant, type Instant } from '../time/instant.ts'
import { endOfLocalDay } from '../time/local-day.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { InvoiceId } from '../id/ids.ts'
import { decimal } from '../money/decimal.ts'
import type { Currency } from '../money/currency.ts'
import type { BillableCustomer, Party } from './billable.ts'
import { canonicalJson, type Json, sha256Hex } from './canonical-json.ts'
import type { Invoice, InvoiceDocument, InvoiceLine } from './invoice.ts'
import type { SealedInvoice } from './ports.ts'
import { type TaxTerms, totalsOf } from './tax-lines.ts'

/** Who sends the invoices. */
export interface Seller extends Party {
  readonly paymentTermsDays: number
  /** How to pay, printed at the foot of documents. */
  readonly paymentLines: readonly string[]
}

/** What stands on an invoice besides its lines and what follows from them. */
export type InvoiceHeading = Omit<
  InvoiceDocument,
  'lines' | 'subtotal' | 'taxes' | 'tax' | 'total' | 'number' | 'issuedAt' | 'dueAt' | 'previousHash'
>

export interface HeadingParts {
  readonly id: InvoiceId
  readonly seller: Seller
  readonly customer: BillableCustomer
  readonly periodStart: Instant
  readonly periodEnd: Instant
  readonly cut: Cut
  readonly tax: TaxTerms & { readonly notes: readonly string[] }
}

export function invoiceHeading(parts: HeadingParts): InvoiceHeading {
  const { seller, customer } = parts
  return {
    id: parts.id,
    seller: party(seller),
    paymentLines: seller.paymentLines,
    customer: customer.key,
    billTo: party(customer.billTo),
    purchaseOrder: customer.purchaseOrder,
    currency: customer.currency,
    timezone: customer.timezone,
    periodStart: formatInstant(parts.periodStart),
    periodEnd: formatInstant(parts.periodEnd),
    cut: parts.cut,
    taxBehavior: parts.tax.behavior,
    taxRounding: parts.tax.rounding,
    taxNotes: parts.tax.notes,
  }
}

/** The invoice without a number: what a preview shows and what the close completes. Pure. */
export function draftDocument(heading: InvoiceHeading, lines: readonly InvoiceLine[]): InvoiceDocument {
  const amounts = lines.map((line) => ({ amount: decimal(line.amount), rates: line.taxRates }))
  const terms: TaxTerms = { behavior: heading.taxBehavior, rounding: heading.taxRounding }
  return {
    ...heading,
    number: null,
    issuedAt: null,
    dueAt: null,
    lines,
    ...totalsOf(amounts, terms, heading.currency as Currency),
    previousHash: null,
  }
}

/** What only the finalization of an invoice knows. */
export interface Seal {
  readonly number: string
  readonly previousHash: string | null
  readonly issuedAt: string
  readonly dueAt: string
}

/** Completes a draft. The same arguments give the same bytes. Pure. */
export function sealDocument(draft: InvoiceDocument, seal: Seal): SealedInvoice {
  const document: InvoiceDocument = { ...draft, ...seal }
  const text = documentText(document)
  return { document, text, hash: sha256Hex(text) }
}

/** The end of the local day that is the last to pay on. */
export function dueAt(issuedAt: Instant, termsDays: number, timezone: string): string {
  return formatInstant(endOfLocalDay(issuedAt, termsDays, timezone))
}

/** A draft as an invoice: its hash is that of the draft, which a number will change. */
export function draftInvoice(draft: InvoiceDocument): Invoice {
  const nothing = draft.total
    .replace(/\d/g, '0')
    .replace(/^-/, '')
    .replace(/^0+(?=0)/, '')
  return {
    ...draft,
    state: 'draft',
    amountPaid: nothing,
    amountCredited: nothing,
    hash: sha256Hex(documentText(draft)),
  }
}

/** The bytes that the hash covers, as UTF-8 text. */
export function documentText(document: InvoiceDocument): string {
  return canonicalJson(document as unknown as Json)
}

function party({ name, addressLines, taxId, email }: Party): Party {
  return { name, addressLines, taxId, email }
}
