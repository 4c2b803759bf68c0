import { createRoute, z } from '@hono/zod-openapi'
import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import type { createCrediting, CreditingOutcome } from '../invoice/crediting.ts'
import type { CreditNoteId } from '../invoice/invoice.ts'
import type { InvoiceStore } from '../invoice/ports.ts'
import type { CreditNoteStore } from '../invoice/receivable-ports.ts'
import { parseDecimal } from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { cursorOf, documentResponse, positionOf, splitSuffix } from './invoice-documents.ts'
import { commandProblem, unknownInvoice } from './invoice-problems.ts'
import { creditNoteJson, creditNoteShape } from './invoice-shapes.ts'
import { ProblemError } from './problem.ts'
import { scoped } from './scoped.ts'

export interface CreditNoteRoutesDeps {
  readonly authenticator: Authenticator
  readonly store: Pick<InvoiceStore, 'get'>
  readonly creditNotes: CreditNoteStore
  readonly crediting: ReturnType<typeof createCrediting>
  /** Now, by the clock that the customer lives by. */
  readonly nowOf: (tenant: TenantId, customer: CustomerKey) => Promise<Instant>
}

const tags = ['credit notes']
const pageMax = 100
const listQuery = z.object({
  customer: z.string().min(1).max(256).optional(),
  invoice: z.string().min(1).max(64).optional(),
  limit: z.coerce.number().int().min(1).max(pageMax).default(pageMax),
  cursor: z.string().max(200).optional(),
})
const idParam = z.object({ id: z.string().min(1).max(64) })
const creditBody = z.strictObject({
  lines: z
    .array(z.strictObject({ line: z.string().min(1).max(64), amount: z.string().max(64) }))
    .min(1)
    .max(500)
    .openapi({ description: 'What is given back of which line; before tax where tax comes on top.' }),
  reason: z.string().min(1).max(500),
})
const pageShape = z.object({
  data: z.array(creditNoteShape),
  nextCursor: z.string().nullable(),
  hasMore: z.boolean(),
})
const json = <Shape extends z.ZodType>(schema: Shape, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

/** `/v1/credit-notes`: list, show as JSON, HTML, PDF and CSV; and the credit note by decision. */
export function createCreditNoteRoutes(deps: CreditNoteRoutesDeps): Api {
  const { store, creditNotes, crediting, nowOf } = deps
  const api = createRouter()
  const admin = scoped(deps.authenticator, 'admin')
  const reader = scoped(deps.authenticator, 'read')

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/credit-notes',
      summary: 'Credit notes, latest first',
      tags,
      middleware: reader,
      request: { query: listQuery },
      responses: { 200: json(pageShape, 'A page') },
    }),
    async (c) => {
      const { customer, invoice, limit, cursor } = c.req.valid('query')
      const page = await creditNotes.list(c.get('principal').tenant, {
        customer: customer === undefined ? null : (customer as CustomerKey),
        invoice: invoice === undefined ? null : (invoice as InvoiceId),
        limit,
        after: cursor === undefined ? null : positionOf(cursor),
      })
      const nextCursor = page.next === null ? null : cursorOf(page.next)
      return c.json({ data: page.data.map(creditNoteJson), nextCursor, hasMore: nextCursor !== null }, 200)
    },
  )

  api.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/credit-notes/{id}',
    summary: 'One credit note; with .html, .pdf or .csv behind the id as a document',
    tags,
    request: { params: idParam },
    responses: { 200: json(creditNoteShape, 'The credit note'), 404: { description: 'Unknown credit note' } },
  })
  // One route for all forms: a router cannot tell `{id}` from `{id}.pdf`.
  api.get('/v1/credit-notes/:document', reader, async (c) => {
    const { id, suffix } = splitSuffix(c.req.param('document'))
    const note = await creditNotes.get(c.get('principal').tenant, id as CreditNoteId)
    if (note === null) {
      throw new ProblemError({
        status: 404,
        code: 'unknownCreditNote',
        title: 'No such credit note',
        detail: `There is no credit note "${id}".`,
      })
    }
    return suffix === null ? c.json(creditNoteJson(note), 200) : documentResponse(note, suffix)
  })

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/invoices/{id}/credit-notes',
      summary: 'Give back parts of lines, whatever was used; taxed as the invoice was',
      tags,
      middleware: admin,
      request: {
        params: idParam,
        body: { required: true, content: { 'application/json': { schema: creditBody } } },
      },
      responses: {
        201: json(creditNoteShape, 'The credit note'),
        404: { description: 'Unknown invoice' },
        409: { description: 'More than the invoice or the line, or the state does not allow it' },
      },
    }),
    async (c) => {
      const { tenant } = c.get('principal')
      const { id } = c.req.valid('param')
      const { lines, reason } = c.req.valid('json')
      const invoice = await store.get(tenant, id as InvoiceId)
      if (invoice === null) throw unknownInvoice(id)
      const outcome = await crediting.credit({
        tenant,
        invoice: invoice.id,
        lines: lines.map(({ line, amount }, i) => {
          const parsed = parseDecimal(amount)
          if (parsed.kind !== 'decimal') {
            throw refused(
              400,
              'invalidRequest',
              `/lines/${i}/amount`,
              'must be plain decimal text, like 5.00',
            )
          }
          return { line, amount: parsed.value }
        }),
        reason,
        at: await nowOf(tenant, invoice.customer),
      })
      if (outcome.kind === 'done' && outcome.creditNote !== null) {
        return c.json(creditNoteJson(outcome.creditNote), 201)
      }
      throw creditProblem(outcome, id)
    },
  )

  return api
}

function creditProblem(outcome: CreditingOutcome, id: string): ProblemError {
  switch (outcome.kind) {
    case 'done':
      throw new Error(`the invoice ${id} was credited without a credit note`)
    case 'unknownLine':
      return refused(404, 'unknownLine', `/lines/${outcome.index}/line`, 'is no line of the invoice')
    case 'notPositive':
      return refused(400, 'invalidRequest', `/lines/${outcome.index}/amount`, 'must be above 0')
    case 'tooManyDigits':
      return refused(
        400,
        'invalidRequest',
        `/lines/${outcome.index}/amount`,
        `may have ${outcome.digitsMax} digits behind the point`,
      )
    case 'exceedsLine':
      return refused(
        409,
        'exceedsLine',
        `/lines/${outcome.index}/amount`,
        `is more than the ${outcome.left} that the line has left`,
      )
    case 'contended':
      return new ProblemError({
        status: 503,
        code: 'contended',
        title: "The customer's invoices keep changing",
        detail: `The credit note was computed ${outcome.attempts} times and each time another change came first. Nothing was done; try again.`,
        retryAfterSeconds: 1,
      })
    default:
      return commandProblem(outcome, id)
  }
}

function refused(status: 400 | 404 | 409, code: string, pointer: string, detail: string): ProblemError {
  return new ProblemError({
    status,
    code,
    title: 'The credit note is not possible',
    detail: `${pointer}: ${detail}`,
    errors: [{ pointer, detail }],
  })
}
