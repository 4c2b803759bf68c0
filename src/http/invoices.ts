import { createRoute, z } from '@hono/zod-openapi'
import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import type { Invoice } from '../invoice/invoice.ts'
import type { Invoicing } from '../invoice/invoicing.ts'
import { type Instant, parseInstant } from '../time/instant.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { cursorOf, DOCUMENT_TYPES, documentResponse, positionOf, splitSuffix } from './invoice-documents.ts'
import { invoiceProblem, unknownInvoice, unknownLine } from './invoice-problems.ts'
import {
  creditNoteJson,
  creditNoteShape,
  explanationJson,
  explanationShape,
  invoiceJson,
  invoiceShape,
} from './invoice-shapes.ts'
import { scoped } from './scoped.ts'

export interface InvoiceRoutesDeps {
  readonly authenticator: Authenticator
  readonly invoicing: Invoicing
  /** Now, by the clock that the customer lives by. */
  readonly nowOf: (tenant: TenantId, customer: CustomerKey) => Promise<Instant>
}

const pageMax = 100
const tags = ['invoices']
const instantInput = z
  .string()
  .openapi({ format: 'date-time', example: '2023-12-01T00:00:00Z' })
  .transform((text, context) => {
    const parsed = parseInstant(text)
    if (parsed !== null) return parsed
    context.addIssue({ code: 'custom', message: 'must be RFC 3339, like 2023-12-01T00:00:00Z' })
    return z.NEVER
  })
const customerInput = z.string().min(1).max(256)
const previewBody = z.strictObject({ customer: customerInput, at: instantInput.optional() })
const closeBody = z.strictObject({ customer: customerInput, periodEnd: instantInput })
const listQuery = z.object({
  customer: customerInput.optional(),
  state: z.enum(['finalized', 'paid', 'void', 'uncollectible']).optional(),
  limit: z.coerce.number().int().min(1).max(pageMax).default(pageMax),
  cursor: z.string().max(200).optional(),
})
const pageShape = z.object({
  data: z.array(invoiceShape),
  nextCursor: z.string().nullable(),
  hasMore: z.boolean(),
})
const idParam = z.object({ id: z.string().min(1).max(64) })
const lineParams = z.object({ id: z.string().min(1).max(64), line: z.string().min(1).max(64) })

const json = <Shape extends z.ZodType>(schema: Shape, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})
const body = <Shape extends z.ZodType>(schema: Shape) => ({
  body: { required: true, content: { 'application/json': { schema } } },
})

/** `/v1/invoices`: preview, close, list, show as JSON, HTML, PDF and CSV, and explain. */
export function createInvoiceRoutes({ authenticator, invoicing, nowOf }: InvoiceRoutesDeps): Api {
  const api = createRouter()
  const admin = scoped(authenticator, 'admin')
  const reader = scoped(authenticator, 'read')

  async function invoiceOr404(tenant: TenantId, id: string): Promise<Invoice> {
    const invoice = await invoicing.get(tenant, id as InvoiceId)
    if (invoice === null) throw unknownInvoice(id)
    return invoice
  }

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/invoices/preview',
      summary:
        'What the invoice of the running period comes to, with usage up to a moment; nothing is stored',
      tags,
      middleware: reader,
      request: body(previewBody),
      responses: {
        200: json(invoiceShape, 'The invoice as it would be; where it is closed already, the invoice'),
        404: { description: 'Unknown customer' },
        409: { description: 'Nothing to invoice, or it cannot be computed' },
        503: { description: 'Events are not countable yet' },
      },
    }),
    async (c) => {
      const { tenant } = c.get('principal')
      const { customer, at } = c.req.valid('json')
      const key = customer as CustomerKey
      const outcome = await invoicing.preview({ tenant, customer: key, at: at ?? (await nowOf(tenant, key)) })
      if (outcome.kind !== 'invoice') throw invoiceProblem(outcome)
      return c.json(invoiceJson(outcome.invoice), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/invoices/close',
      summary: 'Close a period that has ended and finalize its invoice, once',
      tags,
      middleware: admin,
      request: body(closeBody),
      responses: {
        200: json(
          z.union([invoiceShape, creditNoteShape]),
          'The invoice, the same one however often the period is closed; a credit note where late usage made closed periods cheaper and there was nothing else',
        ),
        404: { description: 'Unknown customer' },
        409: { description: 'The period has not ended, or a check failed' },
        422: { description: 'No period ends there' },
        503: { description: 'Events are not countable yet' },
      },
    }),
    async (c) => {
      const { tenant } = c.get('principal')
      const { customer, periodEnd } = c.req.valid('json')
      const outcome = await invoicing.close({ tenant, customer: customer as CustomerKey, periodEnd })
      switch (outcome.kind) {
        case 'finalized':
        case 'existing':
          return c.json(invoiceJson(outcome.invoice), 200)
        case 'credited':
          return c.json(creditNoteJson(outcome.creditNotes[0]), 200)
        default:
          throw invoiceProblem(outcome)
      }
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/invoices',
      summary: 'Invoices, latest first',
      tags,
      middleware: reader,
      request: { query: listQuery },
      responses: { 200: json(pageShape, 'A page') },
    }),
    async (c) => {
      const { tenant } = c.get('principal')
      const { customer, state, limit, cursor } = c.req.valid('query')
      const page = await invoicing.list(tenant, {
        customer: customer === undefined ? null : (customer as CustomerKey),
        state: state ?? null,
        limit,
        after: cursor === undefined ? null : positionOf(cursor),
      })
      const nextCursor = page.next === null ? null : cursorOf(page.next)
      return c.json({ data: page.data.map(invoiceJson), nextCursor, hasMore: nextCursor !== null }, 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/invoices/{id}/lines/{line}/explanation',
      summary: 'How the amount of a line comes about, down to the metered quantity',
      tags,
      middleware: reader,
      request: { params: lineParams },
      responses: {
        200: json(explanationShape, 'The formula and what it was computed from'),
        404: { description: 'Unknown invoice or line' },
      },
    }),
    async (c) => {
      const { id, line } = c.req.valid('param')
      const invoice = await invoiceOr404(c.get('principal').tenant, id)
      const found = invoice.lines.find((one) => one.id === line)
      if (found === undefined) throw unknownLine(id, line)
      return c.json(explanationJson(invoice, found), 200)
    },
  )

  for (const [suffix, type] of Object.entries(DOCUMENT_TYPES)) {
    api.openAPIRegistry.registerPath({
      method: 'get',
      path: `/v1/invoices/{id}.${suffix}`,
      summary: `The invoice as ${suffix.toUpperCase()}`,
      tags,
      request: { params: idParam },
      responses: {
        200: { description: 'The document', content: { [type]: { schema: z.string() } } },
        404: { description: 'Unknown invoice' },
      },
    })
  }
  api.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/invoices/{id}',
    summary: 'One invoice',
    tags,
    request: { params: idParam },
    responses: { 200: json(invoiceShape, 'The invoice'), 404: { description: 'Unknown invoice' } },
  })
  // One route for all forms: a router cannot tell `{id}` from `{id}.pdf`.
  api.get('/v1/invoices/:document', reader, async (c) => {
    const { id, suffix } = splitSuffix(c.req.param('document'))
    const invoice = await invoiceOr404(c.get('principal').tenant, id)
    if (suffix === null)
      return c.json(invoiceJson(invoice), 200, { etag: `"${invoice.hash}-${invoice.state}"` })
    return documentResponse(invoice, suffix)
  })

  return api
}
