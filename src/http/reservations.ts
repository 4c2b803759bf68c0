import { createRoute, z } from '@hono/zod-openapi'
import type { Gatekeeper } from '../provision/gatekeeper.ts'
import type { EndOutcome, Reservations } from '../provision/reservations.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { checkRequestOf, checkRequestShape, checkWith, costShape } from './keys-check.ts'
import { ProblemError } from './problem.ts'
import { scoped } from './scoped.ts'
import { verificationShape, verificationView } from './verification-shape.ts'

export interface ReservationRoutesDeps {
  readonly authenticator: Authenticator
  readonly gatekeeper: Gatekeeper
  readonly reservations: Reservations
}

const TTL_SECONDS = 300
const TTL_SECONDS_MAX = 3_600
const tags = ['keys']
const idParam = z.object({ id: z.string().min(1).max(64) })
const endedShape = z.object({ id: z.string(), state: z.enum(['committed', 'released']) })
const json = <Shape extends z.ZodType>(schema: Shape, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

/** `/v1/reservations`: hold the most that a piece of work can cost, and settle by what it did cost. */
export function createReservationRoutes({
  authenticator,
  gatekeeper,
  reservations,
}: ReservationRoutesDeps): Api {
  const reader = scoped(authenticator, 'read')
  const api = createRouter()

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/reservations',
      summary: 'Hold units for work of unknown cost',
      description:
        'Answered 201 with an id when the units are held, and 200 with the decision and no id when they are refused. A reservation that is never committed or released ends after its time as used in full.',
      tags,
      middleware: reader,
      request: {
        body: {
          required: true,
          content: {
            'application/json': {
              schema: checkRequestShape.extend({
                cost: costShape.refine((cost) => Object.keys(cost).length > 0, 'must name a quota'),
                ttlSeconds: z.number().int().min(1).max(TTL_SECONDS_MAX).default(TTL_SECONDS),
              }),
            },
          },
        },
      },
      responses: {
        200: json(verificationShape.extend({ id: z.null() }), 'Refused'),
        201: json(verificationShape.extend({ id: z.string() }), 'Held'),
        503: { description: 'Too many reservations are open' },
      },
    }),
    async (c) => {
      const { ttlSeconds, ...body } = c.req.valid('json')
      const { tenant } = c.get('principal')
      const checked = await checkWith(gatekeeper, checkRequestOf(tenant, body))
      const { reserved, verification } = checked
      const headers = { 'cache-control': 'no-store' }
      if (reserved === null) return c.json({ ...verificationView(verification), id: null }, 200, headers)
      const opened = reservations.open(tenant, { ...checked, reserved }, ttlSeconds * 1000)
      if (opened === null) {
        reserved.release()
        throw new ProblemError({
          status: 503,
          code: 'tooManyReservations',
          title: 'Too many reservations are open',
          detail: 'Commit or release those that are done, and try again.',
          retryAfterSeconds: 1,
        })
      }
      return c.json({ ...verificationView(verification), id: opened.id }, 201, headers)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/reservations/{id}/commit',
      summary: 'End a reservation by what was used; without figures all of it was',
      description:
        'What was reserved and not used is free again; what was used beyond the reservation is charged all the same.',
      tags,
      middleware: reader,
      request: {
        params: idParam,
        body: {
          required: false,
          content: { 'application/json': { schema: z.strictObject({ used: costShape.optional() }) } },
        },
      },
      responses: {
        200: json(endedShape, 'Committed'),
        404: { description: 'No such reservation in this process' },
        409: { description: 'It ended in another way' },
      },
    }),
    (c) => {
      const { id } = c.req.valid('param')
      const { used } = c.req.valid('json')
      const units =
        used === undefined
          ? null
          : new Map(Object.entries(used).map(([key, text]) => [key, BigInt(text)] as const))
      assertEnded(id, reservations.commit(c.get('principal').tenant, id, units))
      return c.json({ id, state: 'committed' as const }, 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/reservations/{id}/release',
      summary: 'End a reservation of which nothing was used',
      tags,
      middleware: reader,
      request: { params: idParam },
      responses: {
        200: json(endedShape, 'Released'),
        404: { description: 'No such reservation in this process' },
        409: { description: 'It ended in another way' },
      },
    }),
    (c) => {
      const { id } = c.req.valid('param')
      assertEnded(id, reservations.release(c.get('principal').tenant, id))
      return c.json({ id, state: 'released' as const }, 200)
    },
  )
  return api
}

function assertEnded(id: string, outcome: EndOutcome): void {
  switch (outcome) {
    case 'ended':
    case 'repeated':
      return
    case 'unknown':
      throw new ProblemError({
        status: 404,
        code: 'unknownReservation',
        title: 'No such reservation',
        detail: `There is no reservation "${id}" in this process. Reservations are ended where they were made.`,
      })
    case 'otherwise':
      throw new ProblemError({
        status: 409,
        code: 'reservationEnded',
        title: 'The reservation has ended',
        detail: `The reservation "${id}" was ended before, in another way or by its time. Nothing was changed.`,
      })
  }
}
