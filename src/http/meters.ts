import { createRoute } from '@hono/zod-openapi'
import type { MeterKey } from '../id/ids.ts'
import type { Clock } from '../time/clock.ts'
import { parseMeter } from '../usage/meter-parse.ts'
import type { MeterRegistry } from '../usage/meter-registry.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { requiredJson } from './json-body.ts'
import { pageQuery, pageRequest, pageShape, pageView } from './listing.ts'
import {
  meterRequestShape,
  meterShape,
  meterTestAnswerShape,
  meterTestShape,
  meterView,
} from './meter-shapes.ts'
import { testMeter } from './meter-test.ts'
import { answer, describedBody, invalidRequest, keyParam, notFound } from './route-parts.ts'
import { scoped } from './scoped.ts'
import { strictObject } from './strict-object.ts'

export interface MeterRoutesDeps {
  readonly authenticator: Authenticator
  readonly meters: Pick<MeterRegistry, 'get' | 'list' | 'put'>
  /** Resolves when what was committed before is on the log and applied in this process. */
  readonly settle: () => Promise<void>
  readonly clock: Clock
}

const tags = ['meters']

/** `/v1/meters`: rules that turn events into quantities. */
export function createMeterRoutes({ authenticator, meters, settle, clock }: MeterRoutesDeps): Api {
  const admin = scoped(authenticator, 'admin')
  const reader = scoped(authenticator, 'read')
  const api = createRouter()

  api.openapi(
    createRoute({
      method: 'put',
      path: '/v1/meters/{key}',
      summary: 'Create or replace a meter',
      description: 'A change of what is counted makes a new revision; invoices that are closed keep theirs.',
      tags,
      middleware: admin,
      request: { params: keyParam, ...describedBody(api, 'MeterRequest', meterRequestShape) },
      responses: { 200: answer(meterShape, 'The meter'), 400: { description: 'Refused, with pointers' } },
    }),
    async (c) => {
      const { key } = c.req.valid('param')
      const parsed = parseMeter(requiredJson(c))
      if (parsed.kind === 'faulty') throw invalidRequest(parsed.faults)
      const { tenant } = c.get('principal')
      const outcome = await meters.put(tenant, key as MeterKey, parsed.definition, clock.now())
      await settle()
      return c.json(meterView(outcome), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/meters/{key}',
      summary: 'One meter',
      tags,
      middleware: reader,
      request: { params: keyParam },
      responses: { 200: answer(meterShape, 'The meter'), 404: { description: 'No such meter' } },
    }),
    async (c) => {
      const { key } = c.req.valid('param')
      const found = await meters.get(c.get('principal').tenant, key as MeterKey)
      if (found === null) {
        throw notFound(
          'unknownMeter',
          'meter',
          `There is no meter "${key}". PUT /v1/meters/${key} creates it.`,
        )
      }
      return c.json(meterView(found), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/meters',
      summary: 'List meters by key',
      tags,
      middleware: reader,
      request: { query: strictObject(pageQuery) },
      responses: { 200: answer(pageShape(meterShape), 'A page') },
    }),
    async (c) => {
      const page = await meters.list(c.get('principal').tenant, pageRequest(c.req.valid('query')))
      return c.json(pageView(page, meterView), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/meters/test',
      summary: 'Which of some events a meter counts, and with which value; nothing is stored',
      tags,
      middleware: reader,
      request: describedBody(api, 'MeterTestRequest', meterTestShape),
      responses: {
        200: answer(meterTestAnswerShape, 'The quantity, and what became of each event'),
        400: { description: 'Refused, with pointers' },
      },
    }),
    async (c) => {
      requiredJson(c)
      const outcome = await testMeter(await c.req.text(), c.get('principal').tenant, clock.now())
      if (outcome.kind === 'faulty') throw invalidRequest(outcome.faults)
      return c.json(outcome.answer, 200)
    },
  )
  return api
}
