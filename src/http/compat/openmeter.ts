import type { Context } from 'hono'
import type { TenantId } from '../../id/ids.ts'
import {
  type ExactJson,
  ExactNumber,
  isExactObject,
  readExactJson,
  writeExactJson,
} from '../../ingest/exact-json.ts'
import { formatInstant, type Instant, parseInstant } from '../../time/instant.ts'
import { type Api, type ApiEnv, authenticateRequest } from '../api.ts'
import { ProblemError } from '../problem.ts'
import { problemOf } from '../events.ts'
import { type CompatDeps, requireTaken, unreadable, withNumbersAsText } from './call.ts'

/** Takes CloudEvents in any of OpenMeter's forms, all or none, and answers with no content, as OpenMeter does. */
export async function acceptOpenMeter(
  c: Context<ApiEnv>,
  deps: CompatDeps,
  tenant: TenantId,
  body: Uint8Array,
  status: 202 | 204,
): Promise<Response> {
  const parsed = readExactJson(body)
  if (parsed.kind === 'refused') throw problemOf(parsed)
  const { value } = parsed
  const events = Array.isArray(value)
    ? (value as readonly ExactJson[]).map(withExactData)
    : withExactData(value)
  const answer = await deps.ingest.accept({
    tenant,
    contentType: c.req.header('content-type'),
    contentEncoding: undefined,
    headers: () => ({}),
    body: Buffer.from(writeExactJson(events)),
    atomic: true,
    receipts: false,
  })
  requireTaken(answer)
  return c.body(null, status)
}

function withExactData(event: ExactJson): ExactJson {
  if (!isExactObject(event)) return event
  const data = event.get('data')
  return data === undefined ? event : new Map([...event, ['data', withNumbersAsText(data)]])
}

export interface MeterQuery {
  readonly from: Instant | null
  readonly to: Instant | null
  readonly windowSize: 'MINUTE' | 'HOUR' | 'DAY' | 'MONTH' | null
  readonly timezone: string
  readonly subjects: readonly string[]
  readonly groupBy: readonly string[]
}

/** One row of a meter query; `value` is decimal text. */
interface MeterRow {
  readonly value: string
  readonly windowStart: Instant
  readonly windowEnd: Instant
  readonly subject: string | null
  readonly groupBy: Readonly<Record<string, string | null>>
}

/** Decimal text; null where the feature has no such figure. */
export interface EntitlementValue {
  readonly hasAccess: boolean
  readonly balance: string | null
  readonly usage: string | null
  readonly overage: string | null
}

/** An event as `GET /api/v1/events` shows it. */
interface ListedEvent {
  readonly id: string
  readonly source: string
  readonly type: string
  readonly subject: string
  readonly time: Instant
  readonly ingestedAt: Instant
  readonly data: Readonly<Record<string, string>>
}

/** What OpenMeter's read calls ask of the product. Null: there is no such meter, subject or feature. */
export interface OpenMeterReads {
  meterRows(tenant: TenantId, meter: string, query: MeterQuery): Promise<readonly MeterRow[] | null>
  entitlement(
    tenant: TenantId,
    holder: { readonly subject: string } | { readonly customer: string },
    feature: string,
  ): Promise<EntitlementValue | null>
  /** The newest first. */
  events(
    tenant: TenantId,
    query: { readonly from: Instant | null; readonly to: Instant | null; readonly limit: number },
  ): Promise<readonly ListedEvent[]>
}

const LIST_EVENTS_MAX = 100
const WINDOW_SIZES = ['MINUTE', 'HOUR', 'DAY', 'MONTH'] as const

/** The read calls of OpenMeter's SDK that have an answer here. */
export function addOpenMeterReads(api: Api, { authenticator }: CompatDeps, reads: OpenMeterReads): void {
  const tenantOf = (c: Context<ApiEnv>): TenantId =>
    authenticateRequest(authenticator, c.req.header('authorization'), 'read').tenant
  const answer = (c: Context<ApiEnv>, value: ExactJson): Response =>
    c.body(writeExactJson(value), 200, { 'content-type': 'application/json' })

  api.get('/api/v1/meters/:meter/query', async (c) => {
    const query = readMeterQuery(c)
    const rows = await reads.meterRows(tenantOf(c), c.req.param('meter'), query)
    if (rows === null) throw notFound(`There is no meter ${c.req.param('meter')}.`)
    return answer(
      c,
      object({
        from: query.from === null ? undefined : formatInstant(query.from),
        to: query.to === null ? undefined : formatInstant(query.to),
        windowSize: query.windowSize ?? undefined,
        data: rows.map((row) =>
          object({
            value: new ExactNumber(row.value),
            windowStart: formatInstant(row.windowStart),
            windowEnd: formatInstant(row.windowEnd),
            subject: row.subject,
            groupBy: object(row.groupBy),
          }),
        ),
      }),
    )
  })

  api.get('/api/v1/subjects/:subject/entitlements/:feature/value', async (c) => {
    const { subject, feature } = c.req.param()
    return answer(c, tellEntitlement(await reads.entitlement(tenantOf(c), { subject }, feature), feature))
  })
  for (const version of ['v1', 'v2']) {
    api.get(`/api/${version}/customers/:customer/entitlements/:feature/value`, async (c) => {
      const { customer = '', feature = '' } = c.req.param() as Readonly<Record<string, string>>
      return answer(c, tellEntitlement(await reads.entitlement(tenantOf(c), { customer }, feature), feature))
    })
  }

  api.get('/api/v1/events', async (c) => {
    const limit = Number(c.req.query('limit') ?? LIST_EVENTS_MAX)
    if (!Number.isInteger(limit) || limit < 1 || limit > LIST_EVENTS_MAX) {
      throw unreadable(`"limit" must be a whole number from 1 to ${LIST_EVENTS_MAX}.`)
    }
    const listed = await reads.events(tenantOf(c), {
      from: readInstant(c, 'from'),
      to: readInstant(c, 'to'),
      limit,
    })
    return answer(
      c,
      listed.map(({ id, source, type, subject, time, ingestedAt, data }) =>
        object({
          event: object({
            specversion: '1.0',
            id,
            source,
            type,
            subject,
            time: formatInstant(time),
            data: object(data),
          }),
          ingestedAt: formatInstant(ingestedAt),
          storedAt: formatInstant(ingestedAt),
        }),
      ),
    )
  })
}

function tellEntitlement(value: EntitlementValue | null, feature: string): ExactJson {
  if (value === null) throw notFound(`There is no entitlement to ${feature}.`)
  const number = (text: string | null): ExactJson | undefined =>
    text === null ? undefined : new ExactNumber(text)
  return object({
    hasAccess: value.hasAccess,
    balance: number(value.balance),
    usage: number(value.usage),
    overage: number(value.overage),
  })
}

function readMeterQuery(c: Context<ApiEnv>): MeterQuery {
  const windowSize = c.req.query('windowSize')
  if (windowSize !== undefined && !(WINDOW_SIZES as readonly string[]).includes(windowSize)) {
    throw unreadable(`"windowSize" must be one of ${WINDOW_SIZES.join(', ')}.`)
  }
  return {
    from: readInstant(c, 'from'),
    to: readInstant(c, 'to'),
    windowSize: (windowSize ?? null) as MeterQuery['windowSize'],
    timezone: c.req.query('windowTimeZone') ?? 'UTC',
    subjects: c.req.queries('subject') ?? [],
    groupBy: c.req.queries('groupBy') ?? [],
  }
}

function readInstant(c: Context<ApiEnv>, name: string): Instant | null {
  const text = c.req.query(name)
  const at = text === undefined ? null : parseInstant(text)
  if (text !== undefined && at === null) throw unreadable(`"${name}" must be RFC 3339 text.`)
  return at
}

function object(members: Readonly<Record<string, ExactJson | undefined>>): ExactJson {
  return new Map(Object.entries(members).filter((one): one is [string, ExactJson] => one[1] !== undefined))
}

function notFound(detail: string): ProblemError {
  return new ProblemError({ status: 404, code: 'notFound', title: 'Not found', detail })
}
