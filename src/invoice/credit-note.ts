import type { InvoiceId } from '../id/ids.ts'
import { makeId } from '../id/ids.ts'
import type { Currency } from '../money/currency.ts'
import { add, compare, type Decimal, decimal } from '../money/decimal.ts'
import { formatInstant, type Instant } from '../time/instant.ts'
import { canonicalJson, type Json, sha256Hex } from './canonical-json.ts'
import type {
  CreditNoteDocument,
  CreditNoteId,
  InvoiceDocument,
  InvoiceLine,
  LineTaxRate,
} from './invoice.ts'
import type { CustomerLedger, SealedCreditNote } from './ports.ts'
import { type TaxTerms, totalsOfPart } from './tax-lines.ts'

/** An invoice that may be credited, and what was credited of it before. */
export interface CreditedInvoice {
  readonly id: InvoiceId
  readonly number: string
  readonly total: Decimal
  readonly terms: TaxTerms
  /** How many credit notes it has. */
  readonly notes: number
  readonly creditedTotal: Decimal
  /** What was credited, by line of the invoice. */
  readonly parts: readonly CreditedPart[]
}

interface CreditedPart {
  readonly line: string
  readonly amount: Decimal
  readonly rates: readonly LineTaxRate[]
}

/** The members of a document that do not depend on its lines. */
export type Heading = Pick<
  InvoiceDocument,
  'seller' | 'customer' | 'billTo' | 'purchaseOrder' | 'currency' | 'timezone' | 'cut'
>

export interface CreditNoteDraft {
  readonly document: CreditNoteDocument
  readonly total: Decimal
}

/** What the ledger says of an invoice that is to be credited; null when it is void or not the customer's. */
export function creditedInvoice(
  { invoices, creditNotes }: Pick<CustomerLedger, 'invoices' | 'creditNotes'>,
  id: InvoiceId,
): CreditedInvoice | null {
  const invoice = invoices.find((one) => one.id === id && one.state !== 'void')
  if (invoice === undefined) return null
  const notes = creditNotes.filter((note) => note.correctsInvoice === id)
  return {
    id,
    number: invoice.number,
    total: decimal(invoice.total),
    terms: { behavior: invoice.taxBehavior, rounding: invoice.taxRounding },
    notes: notes.length,
    creditedTotal: notes.reduce((sum, note) => add(sum, decimal(note.total)), decimal('0')),
    parts: united(notes.flatMap((note) => note.lines.map(partOf))),
  }
}

/**
 * A credit note over lines that give back parts of one invoice, taxed with the rates of that invoice. Null when the
 * invoice's credit notes would together be more than the invoice.
 */
export function draftCreditNote(
  invoice: CreditedInvoice,
  lines: readonly InvoiceLine[],
  heading: Heading,
  reason: string,
  at: Instant,
): CreditNoteDraft | null {
  const own = lines.map(partOf)
  const currency = heading.currency as Currency
  const through = united([...invoice.parts, ...own])
  const totals = totalsOfPart(own, invoice.parts, through, invoice.terms, currency)
  const total = decimal(totals.total)
  if (compare(add(invoice.creditedTotal, total), invoice.total) > 0) return null
  const document: CreditNoteDocument = {
    id: creditNoteId(invoice, at),
    number: null,
    corrects: invoice.number,
    correctsInvoice: invoice.id,
    reason,
    ...heading,
    periodStart: lines.map((line) => line.start).reduce((a, b) => (a < b ? a : b)),
    periodEnd: lines.map((line) => line.end).reduce((a, b) => (a > b ? a : b)),
    issuedAt: null,
    lines,
    taxBehavior: invoice.terms.behavior,
    taxRounding: invoice.terms.rounding,
    taxNotes: [],
    ...totals,
    previousHash: null,
  }
  return { document, total }
}

/** Completes a draft with what only its issue knows. The same arguments give the same bytes. Pure. */
export function sealCreditNote(
  draft: CreditNoteDocument,
  number: string,
  previousHash: string | null,
  issuedAt: Instant,
): SealedCreditNote {
  const document = { ...draft, number, issuedAt: formatInstant(issuedAt), previousHash }
  const text = canonicalJson(document as unknown as Json)
  return { document, text, hash: sha256Hex(text) }
}

/** Of the invoice and how many credit notes it had: the same however often it is computed. */
function creditNoteId({ id, notes }: CreditedInvoice, at: Instant): CreditNoteId {
  return makeId('cn', at, Buffer.from(sha256Hex(`${id}\0${notes}`), 'hex')) as CreditNoteId
}

function partOf(line: InvoiceLine): CreditedPart {
  if (line.correctsLine === null) throw new Error(`the credit ${line.id} names no line that it corrects`)
  return { line: line.correctsLine, amount: decimal(line.amount), rates: line.taxRates }
}

function united(parts: readonly CreditedPart[]): readonly CreditedPart[] {
  const byLine = new Map<string, CreditedPart>()
  for (const part of parts) {
    const before = byLine.get(part.line)
    byLine.set(part.line, before === undefined ? part : { ...part, amount: add(before.amount, part.amount) })
  }
  return [...byLine.values()]
}
