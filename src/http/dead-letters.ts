import { createRoute, z } from '@hono/zod-openapi'
import type { DeadLetterStore, KeptDeadLetter } from '../ingest/dead-letter.ts'
import type { RetryOutcome } from '../ingest/dead-letter-retry.ts'
import { isEventType, REJECTION_CODES } from '../ingest/rejection.ts'
import type { TenantId } from '../id/ids.ts'
import { formatInstant, parseInstant } from '../time/instant.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { problemOf } from './events.ts'
import { pageQuery, pageRequest, pageShape, pageView } from './listing.ts'
import { ProblemError } from './problem.ts'
import { answer, idParam, instantShape, notFound } from './route-parts.ts'
import { scoped } from './scoped.ts'
import { strictObject } from './strict-object.ts'

export interface DeadLetterRoutesDeps {
  readonly authenticator: Authenticator
  readonly letters: Pick<DeadLetterStore, 'get' | 'list'>
  readonly retry: (tenant: TenantId, id: string) => Promise<RetryOutcome>
}

const tags = ['dead letters']

const letterShape = z
  .object({
    id: z.string(),
    code: z.string().openapi({ description: 'Why it was rejected, as it was answered.' }),
    detail: z.string(),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })),
    event: z.object({
      id: z.string().nullable(),
      source: z.string().nullable(),
      type: z.string().nullable(),
      subject: z.string().nullable(),
    }),
    times: z.number().int().openapi({ description: 'How often it was sent and rejected.' }),
    arrivedAt: instantShape.openapi({ description: 'By the customer’s clock.' }),
    firstAt: instantShape,
    lastAt: instantShape,
    retried: z
      .object({ outcome: z.enum(['accepted', 'duplicate']), at: instantShape })
      .nullable()
      .openapi({ description: 'Null while it waits.' }),
  })
  .openapi('DeadLetter')

const wholeLetterShape = letterShape
  .extend({
    body: z.string().openapi({ description: 'The event as it was sent; API keys in it are masked.' }),
    isCut: z.boolean().openapi({ description: 'Only its beginning is there; it cannot be sent again.' }),
  })
  .openapi('WholeDeadLetter')

const listQuery = strictObject({
  ...pageQuery,
  code: z.enum(REJECTION_CODES).optional(),
  type: z.string().refine(isEventType, 'must be an event type').optional(),
  since: z
    .string()
    .refine((text) => parseInstant(text) !== null, 'must be an instant such as 2026-03-01T00:00:00Z')
    .optional(),
  state: z.enum(['waiting', 'retried']).optional(),
})

/** `/v1/dead-letters`: events that were rejected, why, and again through the stage when the cause is mended. */
export function createDeadLetterRoutes({ authenticator, letters, retry }: DeadLetterRoutesDeps): Api {
  const admin = scoped(authenticator, 'admin')
  const reader = scoped(authenticator, 'read')
  const api = createRouter()

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/dead-letters',
      summary: 'List rejected events, newest first',
      tags,
      middleware: reader,
      request: { query: listQuery },
      responses: { 200: answer(pageShape(letterShape), 'A page') },
    }),
    async (c) => {
      const { code, type, since, state, ...page } = c.req.valid('query')
      const filter = {
        code,
        type,
        state,
        since: (since === undefined ? null : parseInstant(since)) ?? undefined,
      }
      const { tenant } = c.get('principal')
      return c.json(pageView(await letters.list(tenant, filter, pageRequest(page)), view), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/dead-letters/{id}',
      summary: 'One rejected event as it was sent',
      tags,
      middleware: reader,
      request: { params: idParam },
      responses: { 200: answer(wholeLetterShape, 'The event'), 404: { description: 'No such dead letter' } },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const found = await letters.get(c.get('principal').tenant, id)
      if (found === null) throw unknownLetter(id)
      const body = Buffer.from(found.body).toString('utf8')
      return c.json({ ...view(found), body, isCut: found.isCut }, 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/dead-letters/{id}/retry',
      summary: 'Send a rejected event again, once, after its cause was mended',
      description: 'An event without a time happens when it first came, not when it is sent again.',
      tags,
      middleware: admin,
      request: { params: idParam },
      responses: {
        200: answer(
          z.object({ id: z.string(), outcome: z.enum(['accepted', 'duplicate']) }),
          'It is durably on the log, by this request or an earlier one',
        ),
        404: { description: 'No such dead letter' },
        409: { description: 'It was sent again already, or is being sent' },
        422: { description: 'It is rejected again, for the reason that is told' },
        503: { description: 'The log cannot take it now' },
      },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const outcome = await retry(c.get('principal').tenant, id)
      if (outcome.kind !== 'taken') throw refusalOf(outcome, id)
      return c.json({ id, outcome: outcome.outcome }, 200)
    },
  )
  return api
}

function refusalOf(outcome: Exclude<RetryOutcome, { readonly kind: 'taken' }>, id: string): ProblemError {
  switch (outcome.kind) {
    case 'unknown':
      return unknownLetter(id)
    case 'unavailable':
      return problemOf(outcome.answer)
    case 'alreadyRetried':
      return conflict(409, 'alreadyRetried', `The dead letter ${id} was sent again and taken already.`)
    case 'running':
      return conflict(409, 'retryRunning', `The dead letter ${id} is being sent by somebody else.`)
    case 'cut':
      return conflict(422, 'letterCut', 'The event was too long to be kept whole; its sender has to send it.')
    case 'rejected': {
      const { code, detail, errors } = outcome.reason
      return new ProblemError({
        status: 422,
        code: 'rejectedAgain',
        title: 'The event is still not acceptable',
        detail: `${code}: ${detail}`,
        errors,
        extra: { rejection: code },
      })
    }
  }
}

function conflict(status: 409 | 422, code: string, detail: string): ProblemError {
  return new ProblemError({ status, code, title: 'The event cannot be sent again', detail })
}

function unknownLetter(id: string): ProblemError {
  return notFound(
    'unknownDeadLetter',
    'dead letter',
    `There is no dead letter "${id}"; old ones are removed.`,
  )
}

function view(letter: KeptDeadLetter): z.infer<typeof letterShape> {
  const { id, reason, named, times, arrivedAt, firstAt, lastAt, retried } = letter
  return {
    ...{ id, code: reason.code, detail: reason.detail },
    errors: reason.errors.map((fault) => ({ ...fault })),
    ...{ event: { ...named }, times, arrivedAt: formatInstant(arrivedAt) },
    ...{ firstAt: formatInstant(firstAt), lastAt: formatInstant(lastAt) },
    retried: retried === null ? null : { outcome: retried.outcome, at: formatInstant(retried.at) },
  }
}
