import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Context } from 'hono'
import type { IngestAnswer, RefusalCode } from '../ingest/answer.ts'
import type { Ingest } from '../ingest/ingest.ts'
import { type Api, type ApiEnv, authenticateRequest, type Authenticator, createRouter } from './api.ts'
import {
  BODIES_BYTES_MAX,
  BodyBudget,
  type BodyBounds,
  declaredBytes,
  readBoundedBody,
} from './bounded-body.ts'
import { answerJson } from './direct-answer.ts'
import { EVENT_ROUTES } from './event-descriptions.ts'
import { ProblemError } from './problem.ts'

export interface EventRoutesDeps {
  readonly authenticator: Authenticator
  readonly ingest: Pick<Ingest, 'accept' | 'correct' | 'shed'>
  /** Largest body of one request. */
  readonly bodyBytesMax: number
  /** Bytes of bodies that may be under way at one time; 64 MiB where absent. */
  readonly bodiesBytesMax?: number
  /** Longest time that a body may take to arrive; BODY_MS_MAX where absent. */
  readonly bodyMsMax?: number
}

/**
 * `POST /v1/events`, the path of every event: no schema library, no middleware of its own, bytes handed to the stage;
 * and the corrections of events. Described for /openapi.json with `registerPath` only.
 */
export function createEventRoutes(deps: EventRoutesDeps): Api {
  const { authenticator, ingest } = deps
  const api = createRouter()
  for (const route of EVENT_ROUTES) api.openAPIRegistry.registerPath(route)
  const bounds: BodyBounds = {
    bytesMax: deps.bodyBytesMax,
    budget: new BodyBudget(deps.bodiesBytesMax ?? BODIES_BYTES_MAX),
    ...(deps.bodyMsMax === undefined ? {} : { msMax: deps.bodyMsMax }),
  }

  async function readBody(c: Context<ApiEnv>): Promise<Uint8Array> {
    const turnedAway = ingest.shed(declaredBytes(c))
    if (turnedAway !== null && turnedAway.kind !== 'accepted') throw problemOf(turnedAway)
    return readBoundedBody(c, bounds)
  }

  api.post('/v1/events', async (c) => {
    const { tenant } = authenticateRequest(authenticator, c.req.header('authorization'), 'ingest')
    const atomic = readSwitch(c, 'atomic')
    const receipts = readSwitch(c, 'receipts')
    const body = await readBody(c)
    const answer = await ingest.accept({
      tenant,
      contentType: c.req.header('content-type'),
      contentEncoding: c.req.header('content-encoding'),
      headers: () => c.req.header(),
      body,
      atomic,
      receipts,
    })
    return answerCounts(c, answer)
  })

  for (const kind of ['void', 'amend'] as const) {
    api.post(`/v1/events/${kind}`, async (c) => {
      const { tenant } = authenticateRequest(authenticator, c.req.header('authorization'), 'ingest')
      const body = await readBody(c)
      const contentEncoding = c.req.header('content-encoding')
      return answerCounts(c, await ingest.correct({ tenant, kind, contentEncoding, body }))
    })
  }
  return api
}

function answerCounts(c: Context<ApiEnv>, answer: IngestAnswer): Response {
  if (answer.kind !== 'accepted') throw problemOf(answer)
  const { accepted, duplicates, rejected } = answer
  const told = answer.receipts === undefined ? {} : { receipts: answer.receipts }
  return answerJson(c, 202, JSON.stringify({ accepted, duplicates, rejected, ...told }))
}

function readSwitch(c: Context<ApiEnv>, name: string): boolean {
  const value = c.req.query(name)
  if (value === undefined || value === 'false') return false
  if (value === 'true') return true
  throw new ProblemError({
    status: 400,
    code: 'invalidRequest',
    title: 'The request is not valid',
    detail: `The query parameter "${name}" must be "true" or "false".`,
  })
}

const REFUSALS: Readonly<
  Record<RefusalCode, { readonly status: ContentfulStatusCode; readonly title: string }>
> = {
  bodyTooLarge: { status: 413, title: 'The body is too large' },
  tooManyEvents: { status: 413, title: 'The batch has too many events' },
  unsupportedMediaType: { status: 415, title: 'The media type is not read' },
  unsupportedEncoding: { status: 415, title: 'The content encoding is not read' },
  malformedEncoding: { status: 400, title: 'The body is not in its content encoding' },
  malformedJson: { status: 400, title: 'The body is not JSON' },
  tooDeeplyNested: { status: 400, title: 'The body is nested too deeply' },
  malformedBatch: { status: 400, title: 'The body is not a batch of events' },
  malformedCorrections: { status: 400, title: 'The body does not name events' },
  malformedHeaders: { status: 400, title: 'The headers are not those of an event' },
  batchRejected: { status: 422, title: 'The batch was rejected' },
}

/** The problem that says why a request was not taken. */
export function problemOf(answer: Exclude<IngestAnswer, { readonly kind: 'accepted' }>): ProblemError {
  const { code, detail } = answer
  if (answer.kind === 'unavailable') {
    const { retryAfterSeconds } = answer
    return new ProblemError({ status: 503, code, title: 'Try again', detail, retryAfterSeconds })
  }
  const { rejected } = answer
  return new ProblemError({
    ...REFUSALS[answer.code],
    code,
    detail,
    ...(rejected === undefined ? {} : { extra: { rejected } }),
  })
}
