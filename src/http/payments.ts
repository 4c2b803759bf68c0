import { createRoute, z } from '@hono/zod-openapi'
import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import type { Invoice } from '../invoice/invoice.ts'
import type { InvoiceStore } from '../invoice/ports.ts'
import type {
  CommandOutcome,
  HistoryEntry,
  InvoiceCommand,
  Payment,
  ReceivablesStore,
} from '../invoice/receivable-ports.ts'
import { type Currency, minorUnitDigits } from '../money/currency.ts'
import { type Decimal, isNegative, isZero, parseDecimal } from '../money/decimal.ts'
import { formatInstant, type Instant, parseInstant } from '../time/instant.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { commandProblem, unknownInvoice } from './invoice-problems.ts'
import { invoiceJson, invoiceShape } from './invoice-shapes.ts'
import { ProblemError } from './problem.ts'
import { scoped } from './scoped.ts'

export interface PaymentRoutesDeps {
  readonly authenticator: Authenticator
  readonly store: Pick<InvoiceStore, 'get'>
  readonly receivables: ReceivablesStore
  /** Now, by the clock that the customer lives by. */
  readonly nowOf: (tenant: TenantId, customer: CustomerKey) => Promise<Instant>
  readonly newPaymentId: () => string
}

const tags = ['invoices']
const idParam = z.object({ id: z.string().min(1).max(64) })
const text = z.string().min(1).max(500)
const instantInput = z.string().transform((raw, context) => {
  const parsed = parseInstant(raw)
  if (parsed !== null) return parsed
  context.addIssue({ code: 'custom', message: 'must be RFC 3339, like 2023-12-01T00:00:00Z' })
  return z.NEVER
})
const paymentBody = z.strictObject({
  amount: z
    .string()
    .openapi({ example: '65.58', description: 'What came in; more than is due becomes credit.' }),
  currency: z.string().optional().openapi({ description: "The invoice's; anything else is refused." }),
  receivedAt: instantInput.optional(),
  method: text.optional(),
  reference: text.optional(),
  note: text.optional(),
})
const voidBody = z.strictObject({
  reason: text.optional(),
  rebill: z.boolean().default(false).openapi({
    description:
      'Whether the bill run closes the period anew by itself. Closing it by hand is always possible.',
  }),
})
const reasonBody = z.strictObject({ reason: text.optional() })
const paymentShape = z
  .object({
    id: z.string(),
    invoice: z.string(),
    kind: z.enum(['manual', 'balance']),
    amount: z.string(),
    applied: z.string(),
    toBalance: z.string(),
    currency: z.string(),
    receivedAt: z.string(),
    method: z.string().nullable(),
    reference: z.string().nullable(),
    note: z.string().nullable(),
    returnedAt: z.string().nullable(),
    returnReason: z.string().nullable(),
  })
  .openapi('Payment')
const paidShape = invoiceShape.extend({ payment: paymentShape }).openapi('PaidInvoice')
const listOf = <Shape extends z.ZodType>(item: Shape) =>
  z.object({ data: z.array(item), nextCursor: z.null(), hasMore: z.literal(false) })
const historyShape = z.object({
  number: z.number().int(),
  event: z.string(),
  state: z.string(),
  at: z.string(),
  detail: z.record(z.string(), z.string()),
})
const balanceShape = z.object({ currency: z.string(), amount: z.string() })

const json = <Shape extends z.ZodType>(schema: Shape, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})
const body = <Shape extends z.ZodType>(schema: Shape) => ({
  body: { required: false, content: { 'application/json': { schema } } },
})
const refusals = {
  404: { description: 'Unknown invoice' },
  409: { description: 'The state of the invoice does not allow it; nothing was done' },
}

/** What becomes of a finalized invoice: payments and their return, void, write-off, and what happened so far. */
export function createPaymentRoutes(deps: PaymentRoutesDeps): Api {
  const { store, receivables, nowOf, newPaymentId } = deps
  const api = createRouter()
  const admin = scoped(deps.authenticator, 'admin')
  const reader = scoped(deps.authenticator, 'read')

  async function invoiceOr404(tenant: TenantId, id: string): Promise<Invoice> {
    const invoice = await store.get(tenant, id as InvoiceId)
    if (invoice === null) throw unknownInvoice(id)
    return invoice
  }

  async function run(
    tenant: TenantId,
    id: string,
    commandOf: (invoice: Invoice, now: Instant) => InvoiceCommand,
  ): Promise<Extract<CommandOutcome, { kind: 'done' }>> {
    const invoice = await invoiceOr404(tenant, id)
    const now = await nowOf(tenant, invoice.customer)
    const outcome = await receivables.command(tenant, invoice.id, commandOf(invoice, now), now)
    if (outcome.kind !== 'done') throw commandProblem(outcome, id)
    return outcome
  }

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/invoices/{id}/payments',
      summary: 'Record money that came in; the same Idempotency-Key never records it twice',
      tags,
      middleware: admin,
      request: {
        params: idParam,
        headers: z.object({ 'idempotency-key': z.string().min(1).max(255).optional() }),
        ...body(paymentBody),
      },
      responses: { 201: json(paidShape, 'The invoice as it stands then, and the payment'), ...refusals },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const given = c.req.valid('json')
      const { invoice, payment } = await run(c.get('principal').tenant, id, (held, now) => ({
        kind: 'pay',
        payment: {
          id: newPaymentId(),
          amount: amountOf(given.amount, held.currency as Currency, given.currency),
          receivedAt: given.receivedAt ?? now,
          method: given.method ?? null,
          reference: given.reference ?? null,
          note: given.note ?? null,
          idempotencyKey: c.req.valid('header')['idempotency-key'] ?? null,
        },
      }))
      if (payment === null) throw new Error(`a payment on ${id} was recorded and is not there`)
      return c.json({ ...invoiceJson(invoice), payment: paymentJson(payment) }, 201)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/invoices/{id}/payments',
      summary: 'Payments on an invoice, oldest first',
      tags,
      middleware: reader,
      request: { params: idParam },
      responses: { 200: json(listOf(paymentShape), 'All of them'), 404: refusals[404] },
    }),
    async (c) => {
      const { tenant } = c.get('principal')
      const invoice = await invoiceOr404(tenant, c.req.valid('param').id)
      const payments = await receivables.payments(tenant, invoice.id)
      return c.json({ data: payments.map(paymentJson), nextCursor: null, hasMore: false as const }, 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/invoices/{id}/payments/{payment}/return',
      summary: 'A payment came back; a paid invoice is open again',
      tags,
      middleware: admin,
      request: { params: idParam.extend({ payment: z.string().min(1).max(64) }), ...body(reasonBody) },
      responses: { 200: json(paidShape, 'The invoice as it stands then, and the payment'), ...refusals },
    }),
    async (c) => {
      const { id, payment: returned } = c.req.valid('param')
      const { reason } = c.req.valid('json')
      const { invoice, payment } = await run(c.get('principal').tenant, id, () => ({
        kind: 'returnPayment',
        payment: returned,
        reason: reason ?? null,
      }))
      if (payment === null) throw new Error(`the payment ${returned} was returned and is not there`)
      return c.json({ ...invoiceJson(invoice), payment: paymentJson(payment) }, 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/invoices/{id}/void',
      summary: 'Void an invoice on which nothing was paid; its period can be billed anew',
      tags,
      middleware: admin,
      request: { params: idParam, ...body(voidBody) },
      responses: { 200: json(invoiceShape, 'The void invoice'), ...refusals },
    }),
    async (c) => {
      const { reason, rebill } = c.req.valid('json')
      const { invoice } = await run(c.get('principal').tenant, c.req.valid('param').id, () => ({
        kind: 'void',
        reason: reason ?? null,
        rebill,
      }))
      return c.json(invoiceJson(invoice), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/invoices/{id}/writeOff',
      summary: 'Give up what is open on an invoice',
      tags,
      middleware: admin,
      request: { params: idParam, ...body(reasonBody) },
      responses: { 200: json(invoiceShape, 'The invoice, uncollectible'), ...refusals },
    }),
    async (c) => {
      const { reason } = c.req.valid('json')
      const { invoice } = await run(c.get('principal').tenant, c.req.valid('param').id, () => ({
        kind: 'writeOff',
        reason: reason ?? null,
      }))
      return c.json(invoiceJson(invoice), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/invoices/{id}/history',
      summary: 'What happened to an invoice, in order',
      tags,
      middleware: reader,
      request: { params: idParam },
      responses: { 200: json(listOf(historyShape), 'All of it'), 404: refusals[404] },
    }),
    async (c) => {
      const { tenant } = c.get('principal')
      const invoice = await invoiceOr404(tenant, c.req.valid('param').id)
      const history = await receivables.history(tenant, invoice.id)
      return c.json({ data: history.map(historyJson), nextCursor: null, hasMore: false as const }, 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/customers/{key}/balance',
      summary: 'What a customer has overpaid or was given back, by currency; the next invoices take it',
      tags,
      middleware: reader,
      request: { params: z.object({ key: z.string().min(1).max(256) }) },
      responses: { 200: json(listOf(balanceShape), 'A balance a currency') },
    }),
    async (c) => {
      const { key } = c.req.valid('param')
      const balance = await receivables.balance(c.get('principal').tenant, key as CustomerKey)
      const data = [...balance].map(([currency, amount]) => ({ currency, amount }))
      return c.json({ data, nextCursor: null, hasMore: false as const }, 200)
    },
  )

  return api
}

function amountOf(raw: string, currency: Currency, named: string | undefined): Decimal {
  if (named !== undefined && named !== currency) {
    throw refusedAmount('/currency', `the invoice is in ${currency}`)
  }
  const parsed = parseDecimal(raw)
  if (parsed.kind !== 'decimal') throw refusedAmount('/amount', 'must be plain decimal text, like 65.58')
  if (isZero(parsed.value) || isNegative(parsed.value)) throw refusedAmount('/amount', 'must be above 0')
  const digits = minorUnitDigits(currency)
  if (parsed.value.scale > digits) {
    throw refusedAmount('/amount', `${currency} has ${digits} digits behind the point`)
  }
  return parsed.value
}

function refusedAmount(pointer: string, detail: string): ProblemError {
  return new ProblemError({
    status: 400,
    code: 'invalidRequest',
    title: 'The request is not valid',
    detail: `${pointer}: ${detail}`,
    errors: [{ pointer, detail }],
  })
}

function paymentJson(payment: Payment): z.infer<typeof paymentShape> {
  return {
    id: payment.id,
    invoice: payment.invoice,
    kind: payment.kind,
    amount: payment.amount,
    applied: payment.applied,
    toBalance: payment.toBalance,
    currency: payment.currency,
    receivedAt: formatInstant(payment.receivedAt),
    method: payment.method,
    reference: payment.reference,
    note: payment.note,
    returnedAt: payment.returnedAt === null ? null : formatInstant(payment.returnedAt),
    returnReason: payment.returnReason,
  }
}

function historyJson({ number, event, state, at, detail }: HistoryEntry): z.infer<typeof historyShape> {
  return { number, event, state, at: formatInstant(at), detail: { ...detail } }
}
