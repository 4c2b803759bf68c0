import type { CustomerKey, InvoiceId, MeterKey, PlanKey, SubscriptionId } from '../id/ids.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { Party } from './billable.ts'
import type { InvoiceState } from './lifecycle.ts'

export const LINE_KINDS = [
  /** A fee of a period or of a part of it. */
  'recurring',
  /** A price of metered usage. */
  'usage',
  /** What events that came after the cut of their period's invoice change about its amount. */
  'lateUsage',
  /** What a change of the subscription changes about an amount that was invoiced before. */
  'adjustment',
] as const
export type LineKind = (typeof LINE_KINDS)[number]

/** One step of a line's formula: `quantity × unitAmount = amount`, exact. */
export interface LineStep {
  readonly kind: string
  readonly description: string
  readonly quantity: string
  readonly unitAmount: string
  readonly amount: string
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
  /** Numbers of the invoices that a late or adjusted amount was invoiced on before. */
  readonly corrects: readonly string[]
}

export interface TaxLine {
  readonly name: string
  /** A share: `0.19`. */
  readonly rate: string
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
  readonly taxes: readonly TaxLine[]
  readonly tax: string
  readonly total: string
  /** Hash of the invoice with the number before, so that none can be exchanged or taken out unseen. */
  readonly previousHash: string | null
}

export interface Invoice extends InvoiceDocument {
  readonly state: InvoiceState
  /** SHA-256 of the document's canonical bytes. */
  readonly hash: string
}
