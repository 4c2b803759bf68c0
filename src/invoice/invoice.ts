import type { Brand } from '../id/brand.ts'
import type { CustomerKey, InvoiceId, MeterKey, PlanKey, SubscriptionId } from '../id/ids.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { Party } from './billable.ts'
import type { InvoiceState } from './lifecycle.ts'

export type CreditNoteId = Brand<string, 'CreditNoteId'>

export const LINE_KINDS = [
  /** A fee of a period or of a part of it. */
  'recurring',
  /** A price of metered usage. */
  'usage',
  /** What events that came after the cut of their period's invoice change about its amount. */
  'lateUsage',
  /** What a change of the subscription changes about an amount that was invoiced before. */
  'adjustment',
  /** On credit notes only: what is given back by decision, whatever was used. */
  'credit',
] as const
type LineKind = (typeof LINE_KINDS)[number]

/** One step of a line's formula: `quantity × unitAmount = amount`, exact. */
export interface LineStep {
  readonly kind: string
  readonly description: string
  readonly quantity: string
  readonly unitAmount: string
  readonly amount: string
}

export const TAX_CATEGORIES = ['standard', 'zero', 'exempt', 'reverseCharge'] as const
export type TaxCategory = (typeof TAX_CATEGORIES)[number]

/** A rate that a line is taxed with; fixed with the line, so that a correction is taxed as what it corrects. */
export interface LineTaxRate {
  readonly name: string
  /** A share: `0.19`. */
  readonly rate: string
  readonly category: TaxCategory
}

/** The events behind a metered line, committed to by a Merkle tree over them (merkle.ts). */
interface LineUsage {
  /** Canonical events that the quantity was counted from. */
  readonly events: number
  /** Hexadecimal; null where no commitment was made. */
  readonly root: string | null
}

/** Amounts are decimal text in the currency's digits, quantities and exact amounts plain decimal text, instants RFC 3339. */
export interface InvoiceLine {
  readonly id: string
  readonly kind: LineKind
  /** Natural key of the charge; with the revision it is unique among the lines of invoices that are not void. */
  readonly key: string
  /** 0 is the first line of its charge; corrections count on. */
  readonly revision: number
  readonly subscription: SubscriptionId
  readonly plan: PlanKey
  readonly planVersion: number
  /** Key of the plan's price. */
  readonly price: string
  readonly name: string
  readonly meter: MeterKey | null
  /** What the meter counted when the line was first rated; later changes of the meter do not touch it. */
  readonly meterRevision: number | null
  readonly quantity: string
  readonly amount: string
  readonly exactAmount: string
  readonly start: string
  readonly end: string
  /** The formula in words, down to the rounded amount. */
  readonly explanation: string
  readonly steps: readonly LineStep[]
  readonly taxRates: readonly LineTaxRate[]
  /** Null for fees and for corrections that no events stand behind. */
  readonly usage: LineUsage | null
  /** Numbers of the invoices that a late or adjusted amount was invoiced on before. */
  readonly corrects: readonly string[]
  /** On credit notes the id of the invoice's line that is credited; else null. */
  readonly correctsLine: string | null
}

export interface TaxLine extends LineTaxRate {
  readonly base: string
  readonly amount: string
}

/** Everything that the hash covers. Once it has a number nothing of it ever changes. */
export interface InvoiceDocument {
  readonly id: InvoiceId
  /** Null before it is finalized. */
  readonly number: string | null
  readonly seller: Party
  /** How to pay. */
  readonly paymentLines: readonly string[]
  readonly customer: CustomerKey
  readonly billTo: Party
  readonly purchaseOrder: string | null
  readonly currency: string
  readonly timezone: string
  readonly periodStart: string
  readonly periodEnd: string
  readonly issuedAt: string | null
  readonly dueAt: string | null
  readonly cut: Cut
  readonly lines: readonly InvoiceLine[]
  readonly subtotal: string
  /** Whether the lines' amounts include the tax. */
  readonly taxBehavior: 'exclusive' | 'inclusive'
  readonly taxRounding: 'group' | 'line'
  readonly taxes: readonly TaxLine[]
  /** What the law wants said, such as that the recipient owes the tax. */
  readonly taxNotes: readonly string[]
  readonly tax: string
  readonly total: string
  /** Hash of the invoice with the number before, so that none can be exchanged or taken out unseen. */
  readonly previousHash: string | null
}

export interface Invoice extends InvoiceDocument {
  readonly state: InvoiceState
  /** Payments and customer credit applied and not returned. */
  readonly amountPaid: string
  /** What credit notes have taken off the amount due. */
  readonly amountCredited: string
  /** SHA-256 of the document's canonical bytes. */
  readonly hash: string
}

/** What a credit note's hash covers: the shape of an invoice, with positive amounts, and what it corrects. */
export interface CreditNoteDocument extends Omit<InvoiceDocument, 'id' | 'dueAt' | 'paymentLines'> {
  readonly id: CreditNoteId
  /** Number of the invoice that it corrects. */
  readonly corrects: string
  readonly correctsInvoice: InvoiceId
  readonly reason: string
}

export interface CreditNote extends CreditNoteDocument {
  /** `applied`: all of it was taken off what was due; `balance`: some or all went to the customer's credit. */
  readonly state: 'applied' | 'balance'
  readonly appliedToInvoice: string
  readonly addedToBalance: string
  readonly hash: string
}
