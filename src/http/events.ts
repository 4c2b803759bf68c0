import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Context } from 'hono'
import type { IngestAnswer, RefusalCode } from '../ingest/answer.ts'
import type { Ingest } from '../ingest/ingest.ts'
import { type Api, type ApiEnv, authenticateRequest, type Authenticator, createRouter } from './api.ts'
import { readBoundedBody } from './bounded-body.ts'
import { ProblemError } from './problem.ts'

export interface EventRoutesDeps {
  readonly authenticator: Authenticator
  readonly ingest: Pick<Ingest, 'accept'>
  /** Largest body of one request. */
  readonly bodyBytesMax: number
}

/**
 * `POST /v1/events`, the path of every event: no schema library, no middleware of its own, bytes handed to the stage.
 * It is described for /openapi.json with `registerPath` only.
 */
export function createEventRoutes({ authenticator, ingest, bodyBytesMax }: EventRoutesDeps): Api {
  const api = createRouter()
  api.post('/v1/events', async (c) => {
    const { tenant } = authenticateRequest(authenticator, c.req.header('authorization'), 'ingest')
    const atomic = readSwitch(c, 'atomic')
    const receipts = readSwitch(c, 'receipts')
    const body = await readBoundedBody(c, bodyBytesMax)
    const answer = await ingest.accept({
      tenant,
      contentType: c.req.header('content-type'),
      contentEncoding: c.req.header('content-encoding'),
      headers: () => c.req.header(),
      body,
      atomic,
      receipts,
    })
    if (answer.kind !== 'accepted') throw problemOf(answer)
    const { accepted, duplicates, rejected } = answer
    const told = answer.receipts === undefined ? {} : { receipts: answer.receipts }
    return c.body(JSON.stringify({ accepted, duplicates, rejected, ...told }), 202, JSON_HEADERS)
  })
  return api
}

const JSON_HEADERS = { 'content-type': 'application/json' }

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
  malformedHeaders: { status: 400, title: 'The headers are not those of an event' },
  batchRejected: { status: 422, title: 'The batch was rejected' },
}

/** The problem that says why a request was not taken. */
function problemOf(answer: Exclude<IngestAnswer, { readonly kind: 'accepted' }>): ProblemError {
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
