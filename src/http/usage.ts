import { createRoute, z } from '@hono/zod-openapi'
import type { JournalReach } from '../aggregate/journal-follower.ts'
import type { UsageReader } from '../aggregate/usage-reader.ts'
import type { CustomerRegistry } from '../customer/customer-registry.ts'
import type { CustomerKey, MeterKey, TenantId } from '../id/ids.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { MeterRegistry } from '../usage/meter-registry.ts'
import { USAGE_WINDOWS, type SubjectOwner } from '../usage/usage-query.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { ProblemError } from './problem.ts'
import { scoped } from './scoped.ts'
import { rowsOf, usageCsv, usageJson } from './usage-answer.ts'
import { readUsageParameters } from './usage-request.ts'

export interface UsageRoutesDeps {
  readonly authenticator: Authenticator
  readonly usage: Pick<UsageReader, 'query'>
  readonly journal: Pick<JournalReach, 'waitForJournal'>
  readonly meters: Pick<MeterRegistry, 'get'>
  readonly customers: Pick<CustomerRegistry, 'get' | 'list' | 'attributions'>
}

/** Longest wait for a receipt to be countable. */
const RECEIPT_WAIT_MS = 10_000
/** Rows of one answer; more are refused with the advice to narrow the question. */
const ROWS_MAX = 10_000
/** Customers of one answer that is grouped by customer and names none. */
const CUSTOMERS_MAX = 1000

const usageShape = z
  .object({
    data: z.array(
      z.object({
        start: z.string(),
        end: z.string(),
        customer: z.string().optional(),
        subject: z.string().optional(),
        group: z.record(z.string(), z.string()),
        value: z.string().nullable().openapi({ description: 'An exact decimal' }),
        events: z.number().int(),
        unusable: z
          .number()
          .int()
          .openapi({ description: 'Events whose value is missing or no decimal: not in value' }),
      }),
    ),
    asOf: z.object({
      journal: z
        .record(z.string(), z.number().int())
        .openapi({ description: 'Partition → offset: everything before is in the answer, nothing behind' }),
      freshnessSeconds: z.number(),
    }),
  })
  .openapi('Usage')

const usageRoute = createRoute({
  method: 'get',
  path: '/v1/meters/{key}/usage',
  summary: 'How much a meter counted, exact as of the journal',
  description:
    'Dimensions are filtered with filter[name]=value; values of one name are alternatives. A customer has the usage of its subjects for as long as they were its own. With Accept: text/csv or format=csv the answer is CSV.',
  tags: ['usage'],
  request: {
    params: z.object({ key: z.string() }),
    query: z.object({
      from: z.string().optional().openapi({ format: 'date-time' }),
      to: z.string().optional().openapi({ format: 'date-time' }),
      window: z.enum(USAGE_WINDOWS).optional(),
      timezone: z.string().optional().openapi({ example: 'Europe/Berlin' }),
      groupBy: z
        .string()
        .optional()
        .openapi({ description: 'Dimensions, customer, subject; comma separated' }),
      customer: z.string().optional().openapi({ description: 'May be repeated' }),
      subject: z.string().optional().openapi({ description: 'May be repeated' }),
      receipt: z
        .string()
        .optional()
        .openapi({ description: 'partition:offset of an accepted event that must be in the answer' }),
      format: z.enum(['json', 'csv']).optional(),
    }),
  },
  responses: {
    200: {
      description: 'The usage',
      content: { 'application/json': { schema: usageShape }, 'text/csv': { schema: z.string() } },
    },
    400: { description: 'The question is not valid, with a pointer to each parameter that is not' },
    404: { description: 'No such meter or customer' },
    503: { description: 'The receipt is not countable yet' },
  },
})

/** `GET /v1/meters/{key}/usage`. */
export function createUsageRoutes(deps: UsageRoutesDeps): Api {
  const { authenticator, usage, journal, meters, customers } = deps
  const api = createRouter()
  api.openAPIRegistry.registerPath(usageRoute)
  api.get('/v1/meters/:key/usage', scoped(authenticator, 'read'), async (c) => {
    const { tenant } = c.get('principal')
    const key = c.req.param('key')
    const registered = await meters.get(tenant, key as MeterKey)
    if (registered === null) throw unknownMeter(key)
    const { meter } = registered
    const query = new URL(c.req.url).searchParams
    const parameters = readUsageParameters(query, meter, c.req.header('accept'))
    const owners = await ownersOf(customers, tenant, parameters.customers, parameters.byCustomer)
    await awaitReceipts(journal, parameters.receipts)
    const { interval, window, timezone, groupBy, byCustomer, bySubject, subjects, filters } = parameters
    const answer = await usage.query({
      ...{ tenant, meter, interval, window, timezone, groupBy, byCustomer, bySubject, subjects, filters },
      ...(owners === null ? {} : { owners }),
    })
    const rows = rowsOf(answer, parameters, meter)
    if (rows.length > ROWS_MAX) throw tooManyRows(rows.length)
    if (parameters.format === 'json') return c.json(usageJson(rows, answer))
    return c.body(usageCsv(rows, parameters), 200, {
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': `attachment; filename="usage-${meter.key}.csv"`,
    })
  })
  return api
}

/** Whose usage is asked for; null: everyone's, and nobody is to be told apart. */
async function ownersOf(
  customers: UsageRoutesDeps['customers'],
  tenant: TenantId,
  named: readonly CustomerKey[],
  byCustomer: boolean,
): Promise<readonly SubjectOwner[] | null> {
  if (named.length === 0 && !byCustomer) return null
  const keys = named.length > 0 ? named : await everyCustomer(customers, tenant)
  const owners: SubjectOwner[] = []
  for (const customer of keys) {
    if (named.length > 0 && (await customers.get(tenant, customer)) === null) throw unknownCustomer(customer)
    const spans = await customers.attributions(tenant, customer)
    owners.push(...spans.map(({ subject, from, until }) => ({ subject, customer, from, until })))
  }
  return owners
}

async function everyCustomer(
  customers: UsageRoutesDeps['customers'],
  tenant: TenantId,
): Promise<readonly CustomerKey[]> {
  const { data, next } = await customers.list(tenant, { limit: CUSTOMERS_MAX, after: null })
  if (next !== null) throw tooManyCustomers()
  return data.map(({ key }) => key)
}

async function awaitReceipts(journal: UsageRoutesDeps['journal'], receipts: Cut): Promise<void> {
  if (receipts.length === 0 || (await journal.waitForJournal(receipts, RECEIPT_WAIT_MS))) return
  throw new ProblemError({
    status: 503,
    code: 'journalBehind',
    title: 'The receipt is not countable yet',
    detail: `The event of the receipt did not count after ${RECEIPT_WAIT_MS} ms. Ask again, or leave receipt out for what counts now.`,
    retryAfterSeconds: 5,
  })
}

function unknownMeter(key: string): ProblemError {
  return new ProblemError({
    status: 404,
    code: 'unknownMeter',
    title: 'No such meter',
    detail: `There is no meter "${key}". PUT /v1/meters/${key} creates it, and counts what is already here.`,
  })
}

function unknownCustomer(key: string): ProblemError {
  return new ProblemError({
    status: 404,
    code: 'unknownCustomer',
    title: 'No such customer',
    detail: `There is no customer "${key}".`,
    errors: [{ pointer: '/customer', detail: 'is not known' }],
  })
}

function tooManyCustomers(): ProblemError {
  const detail = `There are more than ${CUSTOMERS_MAX} customers: name those you want with customer=, up to ${CUSTOMERS_MAX} at a time.`
  return new ProblemError({
    status: 400,
    code: 'tooManyCustomers',
    title: 'Too many customers for one answer',
    detail,
    errors: [{ pointer: '/groupBy', detail }],
  })
}

function tooManyRows(rows: number): ProblemError {
  return new ProblemError({
    status: 400,
    code: 'tooManyRows',
    title: 'Too many rows for one answer',
    detail: `The answer has ${rows} rows; one answer has at most ${ROWS_MAX}. Ask for a shorter interval, longer windows or fewer groups.`,
  })
}
