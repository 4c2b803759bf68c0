import { createRoute, z } from '@hono/zod-openapi'
import type { InvoiceId } from '../id/ids.ts'
import type { InvoiceEvidence } from '../invoice/evidence.ts'
import type { InvoiceVerifier } from '../invoice/verify.ts'
import { formatInstant } from '../time/instant.ts'
import type { CanonicalEvent } from '../usage/usage-query.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { invalidCursor, unknownInvoice, unknownLine } from './invoice-problems.ts'
import { ProblemError } from './problem.ts'
import { scoped } from './scoped.ts'

export interface InvoiceEvidenceRoutesDeps {
  readonly authenticator: Authenticator
  readonly evidence: InvoiceEvidence
  readonly verifier: InvoiceVerifier
}

const tags = ['invoices']
const eventsOfPageMax = 1000
const idParam = z.object({ id: z.string().min(1).max(64) })
const lineParams = idParam.extend({ line: z.string().min(1).max(64) })
const eventShape = z
  .object({
    source: z.string(),
    id: z.string(),
    type: z.string(),
    subject: z.string(),
    time: z.string(),
    ingestedAt: z.string(),
    value: z
      .string()
      .nullable()
      .openapi({ description: "The meter's value of the event; null where it counts." }),
    properties: z.record(z.string(), z.string()),
    coordinate: z.object({
      partition: z.number().int(),
      offset: z.number().int(),
      index: z.number().int(),
    }),
  })
  .openapi('CountedEvent')
const eventsPage = z.object({
  data: z.array(eventShape),
  nextCursor: z.string().nullable(),
  hasMore: z.boolean(),
})
const inclusionShape = z
  .object({
    invoice: z.string(),
    line: z.string(),
    source: z.string(),
    id: z.string(),
    leaf: z.string().openapi({ description: 'SHA-256 of the leaf; docs/invoices.md says what is hashed.' }),
    path: z.array(z.object({ side: z.enum(['left', 'right']), hash: z.string() })),
    leaves: z.number().int(),
    storedRoot: z.string().nullable(),
    computedRoot: z.string(),
  })
  .openapi('InclusionProof')
const verificationShape = z
  .object({
    invoice: z.string(),
    ok: z.boolean(),
    storedHash: z.string(),
    computedHash: z.string(),
    differences: z.array(
      z.object({ pointer: z.string(), stored: z.string().nullable(), computed: z.string().nullable() }),
    ),
  })
  .openapi('InvoiceVerification')

const json = <Shape extends z.ZodType>(schema: Shape, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

/** From an invoice down to its events: what a line counted, a proof for one event, and the whole recomputed. */
export function createInvoiceEvidenceRoutes(deps: InvoiceEvidenceRoutesDeps): Api {
  const { evidence, verifier } = deps
  const api = createRouter()
  const reader = scoped(deps.authenticator, 'read')

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/invoices/{id}/lines/{line}/events',
      summary: "The events that a line was counted from, at the invoice's cut, in the order of their times",
      tags,
      middleware: reader,
      request: {
        params: lineParams,
        query: z.object({
          limit: z.coerce.number().int().min(1).max(eventsOfPageMax).default(100),
          cursor: z.string().max(200).optional(),
        }),
      },
      responses: {
        200: json(eventsPage, 'A page; fees have no events'),
        404: { description: 'Unknown invoice or line' },
      },
    }),
    async (c) => {
      const { id, line } = c.req.valid('param')
      const { limit, cursor } = c.req.valid('query')
      const { tenant } = c.get('principal')
      const outcome = await evidence.events({
        tenant,
        invoice: id as InvoiceId,
        line,
        limit,
        after: cursor === undefined ? null : Buffer.from(cursor, 'base64url').toString('utf8'),
      })
      switch (outcome.kind) {
        case 'unknownInvoice':
          throw unknownInvoice(id)
        case 'unknownLine':
          throw unknownLine(id, line)
        case 'badCursor':
          throw invalidCursor()
        case 'events': {
          const { events, next } = outcome
          const nextCursor = next === null ? null : Buffer.from(next).toString('base64url')
          return c.json({ data: events.map(eventJson), nextCursor, hasMore: nextCursor !== null }, 200)
        }
      }
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/invoices/{id}/lines/{line}/inclusion',
      summary: 'Proof that an event is among those that a line was counted from',
      tags,
      middleware: reader,
      request: {
        params: lineParams,
        query: z.object({ source: z.string().min(1).max(1024), id: z.string().min(1).max(1024) }),
      },
      responses: {
        200: json(inclusionShape, 'The path from the event to the root on the line'),
        404: { description: 'Unknown invoice, line or event' },
      },
    }),
    async (c) => {
      const { id: invoice, line } = c.req.valid('param')
      const { source, id } = c.req.valid('query')
      const { tenant } = c.get('principal')
      const outcome = await evidence.inclusion({ tenant, invoice: invoice as InvoiceId, line, source, id })
      switch (outcome.kind) {
        case 'unknownInvoice':
          throw unknownInvoice(invoice)
        case 'unknownLine':
          throw unknownLine(invoice, line)
        case 'notIncluded':
          throw new ProblemError({
            status: 404,
            code: 'eventNotIncluded',
            title: 'The line does not count the event',
            detail: `No event "${id}" of "${source}" is behind the line. GET /v1/events/trace says where it is.`,
          })
        case 'included': {
          const { leaf, steps, leaves, storedRoot, computedRoot } = outcome
          const path = steps.map(({ side, hash }) => ({ side, hash }))
          return c.json({ invoice, line, source, id, leaf, path, leaves, storedRoot, computedRoot }, 200)
        }
      }
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/invoices/{id}/verify',
      summary: 'Count, rate and add up again from the events before the cut, and compare every byte',
      tags,
      middleware: reader,
      request: { params: idParam },
      responses: {
        200: json(verificationShape, 'Whether the invoice comes out the same'),
        404: { description: 'Unknown invoice' },
        503: { description: 'Events are not countable yet' },
      },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const outcome = await verifier.verify(c.get('principal').tenant, id as InvoiceId)
      switch (outcome.kind) {
        case 'unknownInvoice':
          throw unknownInvoice(id)
        case 'journalBehind':
          throw new ProblemError({
            status: 503,
            code: 'journalBehind',
            title: 'The events are not countable yet',
            detail: `Everything before the cut must be counted first; it was not after ${outcome.waitedMs} ms. Try again.`,
            retryAfterSeconds: 5,
          })
        case 'verified': {
          const { ok, storedHash, computedHash, differences } = outcome
          return c.json(
            {
              invoice: id,
              ok,
              storedHash,
              computedHash,
              differences: differences.map((difference) => ({ ...difference })),
            },
            200,
          )
        }
      }
    },
  )

  return api
}

function eventJson(event: CanonicalEvent): z.infer<typeof eventShape> {
  const { partition, offset, index } = event.coordinate
  return {
    source: event.source,
    id: event.id,
    type: event.type,
    subject: event.subject,
    time: formatInstant(event.time),
    ingestedAt: formatInstant(event.ingestedAt),
    value: event.value,
    properties: { ...event.properties },
    coordinate: { partition, offset, index },
  }
}
