import { createRoute, z } from '@hono/zod-openapi'
import type { TenantId } from '../id/ids.ts'
import { ratedUsageCsv, ratedUsageNdjson } from '../invoice/documents/rated-usage-text.ts'
import { ratedUsageXlsx, xlsxRowsMax } from '../invoice/documents/rated-usage-xlsx.ts'
import { RatedUsageError, type RatedUsageRow } from '../invoice/rated-usage.ts'
import { type Interval, parseInstant } from '../time/instant.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { invoiceProblem } from './invoice-problems.ts'
import { ProblemError } from './problem.ts'
import { scoped } from './scoped.ts'

export interface ExportRoutesDeps {
  readonly authenticator: Authenticator
  readonly ratedUsage: (tenant: TenantId, interval: Interval) => AsyncGenerator<RatedUsageRow>
  /** The rows as Parquet, in chunks; absent where nothing can write it. */
  readonly parquet?: (rows: AsyncIterable<RatedUsageRow>) => AsyncIterable<Uint8Array>
}

const instantInput = z.string().transform((raw, context) => {
  const parsed = parseInstant(raw)
  if (parsed !== null) return parsed
  context.addIssue({ code: 'custom', message: 'must be RFC 3339, like 2023-11-01T00:00:00Z' })
  return z.NEVER
})
const query = z.object({
  from: instantInput,
  to: instantInput,
  format: z.enum(['csv', 'ndjson', 'xlsx', 'parquet']).default('csv'),
})
const TYPES = {
  csv: 'text/csv; charset=utf-8; header=present',
  ndjson: 'application/x-ndjson; charset=utf-8',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  parquet: 'application/vnd.apache.parquet',
} as const

/** `/v1/exports/rated-usage`: finance's pull, streamed. */
export function createExportRoutes({ authenticator, ratedUsage, parquet }: ExportRoutesDeps): Api {
  const api = createRouter()
  const route = createRoute({
    method: 'get',
    path: '/v1/exports/rated-usage',
    summary:
      'A row for each line of an invoice or credit note and each unbilled charge whose service overlaps the interval',
    tags: ['exports'],
    middleware: scoped(authenticator, 'read'),
    request: { query },
    responses: {
      200: { description: 'The rows', content: { 'text/csv': { schema: z.string() } } },
      413: { description: 'More rows than a sheet may have' },
      422: { description: 'The format is not available here' },
    },
  })
  api.openapi(route, async (c) => {
    const { from, to, format } = c.req.valid('query')
    if (from >= to) {
      throw new ProblemError({
        status: 400,
        code: 'invalidRequest',
        title: 'The request is not valid',
        detail: '/to: must be after /from; the interval is [from, to).',
        errors: [{ pointer: '/to', detail: 'must be after from' }],
      })
    }
    if (format === 'parquet' && parquet === undefined) throw notAvailable()
    const rows = await started(ratedUsage(c.get('principal').tenant, { start: from, end: to }))
    const headers = {
      'content-type': TYPES[format],
      'content-disposition': `attachment; filename="rated-usage.${format}"`,
      'x-content-type-options': 'nosniff',
    }
    switch (format) {
      case 'csv':
        return new Response(streamOf(encoded(ratedUsageCsv(rows))), { headers })
      case 'ndjson':
        return new Response(streamOf(encoded(ratedUsageNdjson(rows))), { headers })
      case 'xlsx': {
        const sheet = await ratedUsageXlsx(rows)
        if (sheet === null) throw tooLong()
        return new Response(Buffer.from(sheet), { headers })
      }
      case 'parquet':
        if (parquet === undefined) throw notAvailable()
        return new Response(streamOf(parquet(rows)), { headers })
    }
  })
  return api
}

/** Reads the first row before the answer begins, so that a refusal known by then is a problem and no cut stream. */
async function started(rows: AsyncGenerator<RatedUsageRow>): Promise<AsyncIterable<RatedUsageRow>> {
  let first: IteratorResult<RatedUsageRow>
  try {
    first = await rows.next()
  } catch (error) {
    if (error instanceof RatedUsageError) throw invoiceProblem(error.refusal)
    throw error
  }
  return (async function* () {
    if (first.done === true) return
    yield first.value
    yield* rows
  })()
}

async function* encoded(chunks: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder()
  for await (const chunk of chunks) yield encoder.encode(chunk)
}

/** Pulled by the client: what it does not read is not computed. A fault in the middle cuts the connection. */
function streamOf(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const next = await iterator.next()
      if (next.done === true) controller.close()
      else controller.enqueue(next.value)
    },
    async cancel() {
      await iterator.return?.()
    },
  })
}

function tooLong(): ProblemError {
  return new ProblemError({
    status: 413,
    code: 'sheetTooLong',
    title: 'More rows than a sheet may have',
    detail: `A sheet holds at most ${xlsxRowsMax} rows here. Ask for a shorter interval, or for csv or ndjson.`,
  })
}

function notAvailable(): ProblemError {
  return new ProblemError({
    status: 422,
    code: 'formatNotAvailable',
    title: 'The format is not available here',
    detail: 'This server does not write Parquet. Ask for csv, ndjson or xlsx.',
    errors: [{ pointer: '/format', detail: 'is not available' }],
  })
}
