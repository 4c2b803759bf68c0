import { createRoute, z } from '@hono/zod-openapi'
import type { BillSchedule } from '../invoice/bill-run-ports.ts'
import { formatInstant } from '../time/instant.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { scoped } from './scoped.ts'

export interface BillRunRoutesDeps {
  readonly authenticator: Authenticator
  readonly schedule: Pick<BillSchedule, 'held'>
}

const heldMax = 1000
const heldShape = z
  .object({
    customer: z.string(),
    periodEnd: z.string(),
    code: z
      .string()
      .openapi({ description: 'The code that a close by hand would be refused with, or `fault`.' }),
    detail: z.string(),
    since: z.string(),
    retryAt: z.string(),
  })
  .openapi('HeldClose')
const listShape = z.object({ data: z.array(heldShape), nextCursor: z.null(), hasMore: z.boolean() })

/** `/v1/bill-run/held`: the periods that the bill run could not close, and why. */
export function createBillRunRoutes({ authenticator, schedule }: BillRunRoutesDeps): Api {
  const api = createRouter()
  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/bill-run/held',
      summary: `Periods that are due and could not be closed, with the reason; the first ${heldMax} by customer`,
      tags: ['invoices'],
      middleware: scoped(authenticator, 'read'),
      responses: {
        200: { description: 'They are tried again', content: { 'application/json': { schema: listShape } } },
      },
    }),
    async (c) => {
      const held = await schedule.held(c.get('principal').tenant, heldMax + 1)
      const data = held.slice(0, heldMax).map((one) => ({
        customer: one.customer,
        periodEnd: formatInstant(one.periodEnd),
        code: one.kind,
        detail: one.detail,
        since: formatInstant(one.since),
        retryAt: formatInstant(one.retryAt),
      }))
      return c.json({ data, nextCursor: null, hasMore: held.length > heldMax }, 200)
    },
  )
  return api
}
