import { createRoute, z } from '@hono/zod-openapi'
import type { TenantId } from '../id/ids.ts'
import type { IngestAnswer } from '../ingest/answer.ts'
import type { Backfill, BackfillOutcome, Backfills } from '../ingest/backfill.ts'
import { isEventSource } from '../ingest/envelope.ts'
import type { Ingest, IngestRequest } from '../ingest/ingest.ts'
import type { Clock } from '../time/clock.ts'
import { formatInstant, type Instant, parseInstant } from '../time/instant.ts'
import type { Position } from '../usage/event-log.ts'
import { type Api, authenticateRequest, type Authenticator, createRouter } from './api.ts'
import { BODIES_BYTES_MAX, BodyBudget, declaredBytes, readBoundedBody } from './bounded-body.ts'
import { problemOf } from './events.ts'
import { repeatableId } from './idempotency.ts'
import { pageQuery, pageRequest, pageShape, pageView } from './listing.ts'
import { ProblemError } from './problem.ts'
import { answer, idParam, instantOrNull, instantShape, invalidRequest, notFound } from './route-parts.ts'
import { scoped } from './scoped.ts'

/** What a meter would count more, before the backfill is closed. */
export interface BackfillTotal {
  readonly meter: string
  /** Whose customers' usage it would be; null for what no customer claims, and for all of it together. */
  readonly customer: string | null
  readonly value: string | null
  readonly events: number
  readonly unusable: number
}

export interface BackfillRoutesDeps {
  readonly authenticator: Authenticator
  readonly backfills: Backfills
  /** Judges and appends events of a backfill in its own name. */
  readonly take: (
    backfill: Backfill,
    request: Omit<IngestRequest, 'tenant' | 'backfill'>,
  ) => Promise<IngestAnswer>
  readonly shed: Ingest['shed']
  /** Null: not everything that was accepted can be counted yet. */
  readonly totals: (backfill: Backfill) => Promise<readonly BackfillTotal[] | null>
  readonly endOffsets: () => Promise<readonly Position[]>
  readonly bodyBytesMax: number
  readonly clock: Clock
  readonly newId: () => string
}

const tags = ['events']
const requestShape = z.strictObject({
  source: z
    .string()
    .refine(isEventSource, 'must be a URI reference that an event may have as its source')
    .openapi({ description: 'Every event’s source. Choose one that live events do not have.' }),
  from: instantShape,
  to: instantShape,
  reason: z.string().min(1).max(1000),
})
const totalShape = z.object({
  meter: z.string(),
  customer: z.string().nullable().openapi({ description: 'Null: of all events together' }),
  value: z.string().nullable(),
  events: z.number().int(),
  unusable: z.number().int(),
})
const shape = z
  .object({
    id: z.string(),
    source: z.string(),
    from: instantShape,
    to: instantShape,
    reason: z.string(),
    state: z.enum(['open', 'closing', 'closed', 'cancelled']),
    events: z.number().int().nullable().openapi({ description: 'Events that count by it; null before' }),
    createdAt: instantShape,
    endedAt: instantShape.nullable(),
    totals: z.array(totalShape).optional(),
  })
  .openapi('Backfill')

/** `/v1/backfills`: usage of before the accept window. Nothing of it counts until it is closed. */
export function createBackfillRoutes(deps: BackfillRoutesDeps): Api {
  const { authenticator, backfills, clock } = deps
  const admin = scoped(authenticator, 'admin')
  const api = createRouter()
  const bounds = { bytesMax: deps.bodyBytesMax, budget: new BodyBudget(BODIES_BYTES_MAX) }

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/backfills',
      summary: 'Open a backfill',
      description:
        'For usage that is older than the accept window. Send its events to …/events, look at GET …?totals, then close or cancel it.',
      tags,
      middleware: admin,
      request: { body: { required: true, content: { 'application/json': { schema: requestShape } } } },
      responses: { 201: answer(shape, 'The backfill'), 400: { description: 'Refused, with pointers' } },
    }),
    async (c) => {
      const { source, from, to, reason } = c.req.valid('json')
      const range = { start: instantAt(from, '/from'), end: instantAt(to, '/to') }
      if (range.start >= range.end) throw invalidRequest([{ pointer: '/to', detail: 'must be after from' }])
      if (range.end > clock.now()) {
        throw invalidRequest([{ pointer: '/to', detail: 'must not lie in the future' }])
      }
      const { tenant } = c.get('principal')
      const id = repeatableId(c, 'job', deps.newId)
      const made = await backfills.create({ id, tenant, source, range, reason, createdAt: clock.now() })
      return c.json(viewOf(made), 201, { location: `/v1/backfills/${id}` })
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/backfills',
      summary: 'Backfills',
      tags,
      middleware: admin,
      request: { query: z.object(pageQuery) },
      responses: { 200: answer(pageShape(shape), 'A page of them') },
    }),
    async (c) => {
      const page = await backfills.list(c.get('principal').tenant, pageRequest(c.req.valid('query')))
      return c.json(pageView(page, viewOf), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/backfills/{id}',
      summary: 'A backfill; with totals, what it would add',
      description:
        'With ?totals: per meter what all events come to (customer null) and each customer’s part of it, as if the backfill were the only usage. Nothing counts by asking.',
      tags,
      middleware: admin,
      request: { params: idParam, query: z.object({ totals: z.enum(['', 'true']).optional() }) },
      responses: {
        200: answer(shape, 'The backfill'),
        404: { description: 'No such backfill' },
        503: { description: 'Not everything that was accepted is countable yet' },
      },
    }),
    async (c) => {
      const backfill = await find(c.get('principal').tenant, c.req.valid('param').id)
      if (c.req.valid('query').totals === undefined) return c.json(viewOf(backfill), 200)
      const totals = await deps.totals(backfill)
      if (totals === null) throw totalsBehind()
      return c.json({ ...viewOf(backfill), totals: [...totals] }, 200)
    },
  )

  api.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/backfills/{id}/events',
    summary: 'Send events of a backfill',
    description:
      'The forms and the answer of POST /v1/events. Every event’s source must be the backfill’s, and its time must be there and lie in the range.',
    tags,
    security: [{ bearer: ['admin'] }],
    request: { params: idParam },
    responses: {
      202: { description: 'What was taken' },
      404: { description: 'No such backfill' },
      409: { description: 'It is not open' },
    },
  })
  api.post('/v1/backfills/:id/events', async (c) => {
    const { tenant } = authenticateRequest(authenticator, c.req.header('authorization'), 'admin')
    const turnedAway = deps.shed(declaredBytes(c))
    if (turnedAway !== null && turnedAway.kind !== 'accepted') throw problemOf(turnedAway)
    const { id } = await find(tenant, c.req.param('id'))
    const body = await readBoundedBody(c, bounds)
    const taken = await backfills.whileOpen(tenant, id, (backfill) =>
      deps.take(backfill, {
        contentType: c.req.header('content-type'),
        contentEncoding: c.req.header('content-encoding'),
        headers: () => c.req.header(),
        ...{ body, atomic: false, receipts: false },
      }),
    )
    if (taken === null) throw notOpen((await find(tenant, id)).state)
    if (taken.kind !== 'accepted') throw problemOf(taken)
    const { accepted, duplicates, rejected } = taken
    return c.json({ accepted, duplicates, rejected: [...rejected] }, 202)
  })

  for (const command of ['close', 'cancel'] as const) {
    api.openapi(
      createRoute({
        method: 'post',
        path: `/v1/backfills/{id}/${command}` as const,
        summary: command === 'close' ? 'Let a backfill count' : 'Drop a backfill',
        description:
          command === 'close'
            ? 'All of its events begin to count; the state is closing until they are appended, then closed. Usage of periods that are invoiced comes as a correction. Closing again adds nothing.'
            : 'None of its events ever counts. Only while it is open.',
        tags,
        middleware: admin,
        request: { params: idParam },
        responses: {
          200: answer(shape, 'The backfill'),
          404: { description: 'No such backfill' },
          409: { description: 'It has ended the other way' },
        },
      }),
      async (c) => {
        const { tenant } = c.get('principal')
        const { id } = c.req.valid('param')
        const outcome: BackfillOutcome =
          command === 'close'
            ? await backfills.close(tenant, id, deps.endOffsets)
            : await backfills.cancel(tenant, id, clock.now())
        switch (outcome.kind) {
          case 'done':
            return c.json(viewOf(outcome.backfill), 200)
          case 'unknown':
            throw unknownBackfill(id)
          case 'refused':
            throw notOpen(outcome.state)
        }
      },
    )
  }

  async function find(tenant: TenantId, id: string): Promise<Backfill> {
    const found = await backfills.get(tenant, id)
    if (found === null) throw unknownBackfill(id)
    return found
  }
  return api
}

function viewOf({ id, source, range, reason, state, events, createdAt, endedAt }: Backfill) {
  return {
    ...{ id, source, reason, state, events },
    ...{ from: formatInstant(range.start), to: formatInstant(range.end) },
    ...{ createdAt: formatInstant(createdAt), endedAt: instantOrNull(endedAt) },
  }
}

function instantAt(text: string, pointer: string): Instant {
  const instant = parseInstant(text)
  if (instant === null) {
    throw invalidRequest([{ pointer, detail: 'must be RFC 3339 text such as "2026-03-01T00:00:00Z"' }])
  }
  return instant
}

function unknownBackfill(id: string): ProblemError {
  return notFound(
    'unknownBackfill',
    'backfill',
    `There is no backfill "${id}". GET /v1/backfills lists them.`,
  )
}

function notOpen(state: Backfill['state']): ProblemError {
  return new ProblemError({
    status: 409,
    code: 'backfillNotOpen',
    title: 'The backfill is not open',
    detail: `The backfill is ${state}, and what has ended stays so. Open another one for more events; void events that should not count.`,
    extra: { state },
  })
}

function totalsBehind(): ProblemError {
  return new ProblemError({
    status: 503,
    code: 'journalBehind',
    title: 'Not everything is countable yet',
    detail: 'Events of the backfill are on the log but not yet countable. Ask again.',
    retryAfterSeconds: 2,
  })
}
