import { z } from '@hono/zod-openapi'
import {
  type CreditNote,
  type Invoice,
  type InvoiceLine,
  LINE_KINDS,
  TAX_CATEGORIES,
} from '../invoice/invoice.ts'
import { decimal, maximum, subtract, ZERO } from '../money/decimal.ts'
import type { Currency } from '../money/currency.ts'
import { amountText } from '../invoice/command.ts'

const amount = z.string().openapi({
  example: '38.62',
  description: "Decimal text with the currency's digits.",
})
const decimalText = z.string().openapi({ example: '38.619948', description: 'Plain decimal text.' })
const instantText = z.string().openapi({ example: '2023-12-01T00:00:00Z', description: 'RFC 3339 in UTC.' })

const partyShape = z.object({
  name: z.string(),
  addressLines: z.array(z.string()),
  taxId: z.string().nullable(),
  email: z.string().nullable(),
})

const stepShape = z.object({
  kind: z.string(),
  description: z.string(),
  quantity: decimalText,
  unitAmount: decimalText,
  amount: decimalText,
})

const rateShape = z.object({ name: z.string(), rate: decimalText, category: z.enum(TAX_CATEGORIES) })

const lineShape = z
  .object({
    id: z.string(),
    kind: z.enum(LINE_KINDS),
    price: z.string().openapi({ description: "Key of the plan's price." }),
    name: z.string(),
    meter: z.string().nullable(),
    quantity: decimalText,
    amount,
    exactAmount: decimalText,
    start: instantText,
    end: instantText,
    explanation: z.string(),
    steps: z.array(stepShape),
    subscription: z.string(),
    plan: z.string(),
    planVersion: z.number().int(),
    meterRevision: z.number().int().nullable(),
    key: z.string().openapi({ description: 'Natural key of what is charged.' }),
    revision: z.number().int(),
    taxRates: z.array(rateShape),
    usage: z
      .object({ events: z.number().int(), root: z.string().nullable() })
      .nullable()
      .openapi({ description: 'Events behind the line, and the Merkle root over them.' }),
    corrects: z.array(z.string()).openapi({ description: 'Numbers of the invoices that are corrected.' }),
    correctsLine: z.string().nullable(),
  })
  .openapi('InvoiceLine')

export const invoiceShape = z
  .object({
    id: z.string(),
    number: z.string().nullable().openapi({ description: 'Null for a preview.' }),
    state: z.enum([
      'gathering',
      'draft',
      'taxPending',
      'invalid',
      'finalized',
      'paid',
      'void',
      'uncollectible',
      'deleted',
    ]),
    customer: z.string(),
    currency: z.string(),
    timezone: z.string(),
    periodStart: instantText,
    periodEnd: instantText,
    issuedAt: instantText.nullable(),
    dueAt: instantText.nullable(),
    cut: z.array(z.object({ partition: z.number().int(), offset: z.number().int() })),
    lines: z.array(lineShape),
    subtotal: amount,
    taxes: z.array(rateShape.extend({ base: amount, amount })),
    taxBehavior: z.enum(['exclusive', 'inclusive']),
    taxRounding: z.enum(['group', 'line']),
    taxNotes: z.array(z.string()),
    tax: amount,
    total: amount,
    amountPaid: amount,
    amountCredited: amount,
    amountDue: amount,
    hash: z.string().openapi({ description: "SHA-256 of the document's canonical JSON." }),
    previousHash: z.string().nullable(),
    seller: partyShape,
    billTo: partyShape,
    purchaseOrder: z.string().nullable(),
    paymentLines: z.array(z.string()),
  })
  .openapi('Invoice')

export const explanationShape = z
  .object({
    invoice: z.string(),
    number: z.string().nullable(),
    line: z.string(),
    price: z.string(),
    meter: z.string().nullable(),
    meterRevision: z.number().int().nullable(),
    plan: z.string(),
    planVersion: z.number().int(),
    start: instantText,
    end: instantText,
    cut: z.array(z.object({ partition: z.number().int(), offset: z.number().int() })),
    quantity: decimalText,
    formula: z.string(),
    steps: z.array(stepShape),
    exactAmount: decimalText,
    amount,
    currency: z.string(),
    corrects: z.array(z.string()),
  })
  .openapi('LineExplanation')

type InvoiceJson = z.infer<typeof invoiceShape>

/** The invoice with its members in the order of the contract. */
export function invoiceJson(invoice: Invoice): InvoiceJson {
  const { seller, billTo } = invoice
  return {
    id: invoice.id,
    number: invoice.number,
    state: invoice.state,
    customer: invoice.customer,
    currency: invoice.currency,
    timezone: invoice.timezone,
    periodStart: invoice.periodStart,
    periodEnd: invoice.periodEnd,
    issuedAt: invoice.issuedAt,
    dueAt: invoice.dueAt,
    cut: invoice.cut.map(({ partition, offset }) => ({ partition, offset })),
    lines: invoice.lines.map(lineJson),
    subtotal: invoice.subtotal,
    taxes: [...invoice.taxes],
    taxBehavior: invoice.taxBehavior,
    taxRounding: invoice.taxRounding,
    taxNotes: [...invoice.taxNotes],
    tax: invoice.tax,
    total: invoice.total,
    amountPaid: invoice.amountPaid,
    amountCredited: invoice.amountCredited,
    amountDue: amountDueOf(invoice),
    hash: invoice.hash,
    previousHash: invoice.previousHash,
    seller: { ...seller, addressLines: [...seller.addressLines] },
    billTo: { ...billTo, addressLines: [...billTo.addressLines] },
    purchaseOrder: invoice.purchaseOrder,
    paymentLines: [...invoice.paymentLines],
  }
}

/** How the amount of a line comes about, with everything that it was computed from. */
export function explanationJson(invoice: Invoice, line: InvoiceLine): z.infer<typeof explanationShape> {
  return {
    invoice: invoice.id,
    number: invoice.number,
    line: line.id,
    price: line.price,
    meter: line.meter,
    meterRevision: line.meterRevision,
    plan: line.plan,
    planVersion: line.planVersion,
    start: line.start,
    end: line.end,
    cut: invoice.cut.map(({ partition, offset }) => ({ partition, offset })),
    quantity: line.quantity,
    formula: line.explanation,
    steps: line.steps.map((step) => ({ ...step })),
    exactAmount: line.exactAmount,
    amount: line.amount,
    currency: invoice.currency,
    corrects: [...line.corrects],
  }
}

function lineJson(line: InvoiceLine): z.infer<typeof lineShape> {
  return {
    id: line.id,
    kind: line.kind,
    price: line.price,
    name: line.name,
    meter: line.meter,
    quantity: line.quantity,
    amount: line.amount,
    exactAmount: line.exactAmount,
    start: line.start,
    end: line.end,
    explanation: line.explanation,
    steps: line.steps.map((step) => ({ ...step })),
    subscription: line.subscription,
    plan: line.plan,
    planVersion: line.planVersion,
    meterRevision: line.meterRevision,
    key: line.key,
    revision: line.revision,
    taxRates: [...line.taxRates],
    usage: line.usage,
    corrects: [...line.corrects],
    correctsLine: line.correctsLine,
  }
}

/** What is still to be paid: nothing where the state says so. */
function amountDueOf(invoice: Invoice): string {
  const { state, total, amountPaid, amountCredited } = invoice
  const isOpen = state === 'finalized' || state === 'draft'
  const rest = subtract(subtract(decimal(total), decimal(amountPaid)), decimal(amountCredited))
  return amountText(isOpen ? maximum(rest, ZERO) : ZERO, invoice.currency as Currency)
}

export const creditNoteShape = invoiceShape
  .omit({
    state: true,
    dueAt: true,
    paymentLines: true,
    amountPaid: true,
    amountCredited: true,
    amountDue: true,
  })
  .extend({
    state: z.enum(['applied', 'balance']).openapi({
      description: '`balance`: some or all of it went to the credit of the customer.',
    }),
    corrects: z.string().openapi({ description: 'Number of the invoice that is corrected.' }),
    correctsInvoice: z.string(),
    reason: z.string(),
    appliedToInvoice: amount,
    addedToBalance: amount,
  })
  .openapi('CreditNote')

export function creditNoteJson(note: CreditNote): z.infer<typeof creditNoteShape> {
  return {
    id: note.id,
    number: note.number,
    state: note.state,
    corrects: note.corrects,
    correctsInvoice: note.correctsInvoice,
    reason: note.reason,
    customer: note.customer,
    currency: note.currency,
    timezone: note.timezone,
    periodStart: note.periodStart,
    periodEnd: note.periodEnd,
    issuedAt: note.issuedAt,
    cut: note.cut.map(({ partition, offset }) => ({ partition, offset })),
    lines: note.lines.map(lineJson),
    subtotal: note.subtotal,
    taxes: [...note.taxes],
    taxBehavior: note.taxBehavior,
    taxRounding: note.taxRounding,
    taxNotes: [...note.taxNotes],
    tax: note.tax,
    total: note.total,
    appliedToInvoice: note.appliedToInvoice,
    addedToBalance: note.addedToBalance,
    hash: note.hash,
    previousHash: note.previousHash,
    seller: { ...note.seller, addressLines: [...note.seller.addressLines] },
    billTo: { ...note.billTo, addressLines: [...note.billTo.addressLines] },
    purchaseOrder: note.purchaseOrder,
  }
}
