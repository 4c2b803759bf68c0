import { z } from '@hono/zod-openapi'
import type { Invoice, InvoiceLine } from '../invoice/invoice.ts'

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

const lineShape = z
  .object({
    id: z.string(),
    kind: z.enum(['recurring', 'usage', 'lateUsage', 'adjustment']),
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
    corrects: z.array(z.string()).openapi({ description: 'Numbers of the invoices that are corrected.' }),
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
    taxes: z.array(z.object({ name: z.string(), rate: decimalText, base: amount, amount })),
    tax: amount,
    total: amount,
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
    tax: invoice.tax,
    total: invoice.total,
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
    corrects: [...line.corrects],
  }
}
