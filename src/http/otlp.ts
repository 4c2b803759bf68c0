import { z } from '@hono/zod-openapi'
import type { Ingest } from '../ingest/ingest.ts'
import { unpackBody } from '../ingest/body.ts'
import { readExactJson } from '../ingest/exact-json.ts'
import { OTLP_REFUSAL_DETAILS, type OtlpReading, type OtlpRefusal, readOtlpMetrics } from '../ingest/otlp.ts'
import type { OtlpMappingTable } from '../ingest/otlp-mappings.ts'
import type { IngestAnswer } from '../ingest/answer.ts'
import type { TenantId } from '../id/ids.ts'
import { type Api, authenticateRequest, type Authenticator, createRouter } from './api.ts'
import { BodyBudget, type BodyBounds, declaredBytes, readBoundedBody } from './bounded-body.ts'
import { problemOf } from './events.ts'
import { ProblemError } from './problem.ts'

export interface OtlpRoutesDeps {
  readonly authenticator: Authenticator
  readonly ingest: Pick<Ingest, 'accept' | 'shed'>
  readonly mappings: Pick<OtlpMappingTable, 'of'>
  readonly bodyBytesMax: number
  /** Most events that the stage takes at once. */
  readonly requestEventsMax: number
  /** Told how many data points had no mapping. */
  readonly onUnmapped: (points: number) => void
}

const BODIES_BYTES_MAX = 16_777_216
const JSON_TYPE = /^application\/json\s*(?:;|$)/i

const answerShape = z.object({
  partialSuccess: z
    .object({ rejectedDataPoints: z.string(), errorMessage: z.string() })
    .optional()
    .openapi({ description: 'Present where data points of mapped metrics were not taken.' }),
})

/** `POST /v1/otlp/v1/metrics`: OTLP/HTTP in JSON; sums with a mapping become events, by the same way as any other. */
export function createOtlpRoutes(deps: OtlpRoutesDeps): Api {
  const { authenticator, ingest, mappings } = deps
  const api = createRouter()
  api.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/otlp/v1/metrics',
    summary: 'Send OpenTelemetry metrics as JSON; delta sums with a mapping become events',
    description:
      'The exporter’s endpoint is `/v1/otlp`, its protocol `http/json`, its temporality `delta`. An export that is sent again adds nothing.',
    tags: ['otlp'],
    security: [{ bearer: ['ingest'] }],
    request: {
      body: {
        required: true,
        content: { 'application/json': { schema: z.record(z.string(), z.unknown()) } },
      },
    },
    responses: {
      200: {
        description: 'Every event that was made of it is durably on the log',
        content: { 'application/json': { schema: answerShape } },
      },
      400: { description: 'Not JSON, or nothing in it that could be taken' },
      413: { description: 'The body is too large' },
      415: { description: 'Not JSON; protobuf is not read' },
      503: { description: 'The log cannot take it now; exporters send it again' },
    },
  })
  const bounds: BodyBounds = { bytesMax: deps.bodyBytesMax, budget: new BodyBudget(BODIES_BYTES_MAX) }

  api.post('/v1/otlp/v1/metrics', async (c) => {
    const { tenant } = authenticateRequest(authenticator, c.req.header('authorization'), 'ingest')
    if (!JSON_TYPE.test(c.req.header('content-type') ?? '')) throw unsupportedProtocol()
    const turnedAway = ingest.shed(declaredBytes(c))
    if (turnedAway !== null && turnedAway.kind !== 'accepted') throw problemOf(turnedAway)
    const packed = await readBoundedBody(c, bounds)
    const unpacked = await unpackBody(c.req.header('content-encoding') ?? '', packed, deps.bodyBytesMax)
    if (unpacked.kind === 'refused') throw problemOf(unpacked)
    const json = readExactJson(unpacked.bytes)
    if (json.kind === 'refused') throw problemOf(json)
    const reading = readOtlpMetrics(json.value, (metric) => mappings.of(tenant, metric))
    if (reading.unmapped > 0) deps.onUnmapped(reading.unmapped)
    if (reading.events.length === 0 && reading.refused.size > 0) throw nothingTaken(reading)
    const rejected = await send(tenant, reading.events)
    return c.json(answerOf(reading, rejected), 200)
  })

  /** Answers the details of rejected events, when all others are durable. */
  async function send(tenant: TenantId, events: readonly string[]): Promise<readonly string[]> {
    const batches: Promise<IngestAnswer>[] = []
    for (let from = 0; from < events.length; from += deps.requestEventsMax) {
      const body = Buffer.from(`[${events.slice(from, from + deps.requestEventsMax).join(',')}]`)
      batches.push(
        ingest.accept({
          tenant,
          contentType: 'application/cloudevents-batch+json',
          contentEncoding: undefined,
          headers: () => ({}),
          body,
          atomic: false,
          receipts: false,
        }),
      )
    }
    const rejected: string[] = []
    for (const outcome of await Promise.all(batches)) {
      if (outcome.kind !== 'accepted') throw problemOf(outcome)
      rejected.push(...outcome.rejected.map(({ code, detail }) => `${code}: ${detail}`))
    }
    return rejected
  }
  return api
}

function answerOf({ refused }: OtlpReading, rejected: readonly string[]): z.infer<typeof answerShape> {
  const points = [...refused.values()].reduce((sum, one) => sum + one, rejected.length)
  if (points === 0) return {}
  const errorMessage = [...new Set([...detailsOf(refused), ...rejected])].slice(0, 5).join(' ')
  // 64-bit integers are texts in OTLP's JSON.
  return { partialSuccess: { rejectedDataPoints: String(points), errorMessage } }
}

function detailsOf(refused: ReadonlyMap<OtlpRefusal, number>): readonly string[] {
  return [...refused.keys()].map((reason) => OTLP_REFUSAL_DETAILS[reason])
}

function nothingTaken({ refused }: OtlpReading): ProblemError {
  const [reason = 'malformed'] = refused.keys()
  return new ProblemError({
    status: 400,
    code: reason === 'cumulative' ? 'cumulativeTemporality' : 'noUsage',
    title: 'Nothing in it is usage',
    detail: detailsOf(refused).join(' '),
  })
}

function unsupportedProtocol(): ProblemError {
  return new ProblemError({
    status: 415,
    code: 'unsupportedMediaType',
    title: 'The media type is not read',
    detail:
      'OTLP is read as JSON only: set OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/json, or "encoding: json" in the collector.',
    headers: { accept: 'application/json' },
  })
}
