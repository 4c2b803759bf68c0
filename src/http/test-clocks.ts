import { createRoute, z } from '@hono/zod-openapi'
import { JsonReader } from '../catalog/json-reader.ts'
import { readKey } from '../catalog/label.ts'
import type { AdvanceOutcome, TestClock, TestClocks } from '../customer/test-clock.ts'
import type { TenantId, TestClockId } from '../id/ids.ts'
import type { Clock } from '../time/clock.ts'
import { formatInstant, type Instant, parseInstant } from '../time/instant.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { repeatableId } from './idempotency.ts'
import { requiredJson } from './json-body.ts'
import { pageQuery, pageRequest, pageShape, pageView } from './listing.ts'
import type { ProblemError } from './problem.ts'
import {
  answer,
  describedBody,
  idParam,
  instantShape,
  invalidRequest,
  notFound,
  refusal,
} from './route-parts.ts'
import { scoped } from './scoped.ts'
import { strictObject } from './strict-object.ts'

export interface TestClockRoutesDeps {
  readonly authenticator: Authenticator
  readonly testClocks: Pick<TestClocks, 'get' | 'list' | 'create'>
  /** Advances the clock and resolves when everything that was due by then has run. */
  readonly advance: (tenant: TenantId, id: TestClockId, to: Instant) => Promise<AdvanceOutcome>
  /** Resolves when what was committed before is on the log and applied in this process. */
  readonly settle: () => Promise<void>
  /** The system's clock. */
  readonly clock: Clock
  readonly newId: () => TestClockId
}

const tags = ['test clocks']
const requestShape = z.strictObject({
  id: z.string().optional().openapi({ description: 'A key of your own; one is made where absent.' }),
  now: instantShape.optional().openapi({ description: 'The system’s now where absent.' }),
})
const advanceShape = z.strictObject({ to: instantShape })
const testClockShape = z
  .object({ id: z.string(), now: instantShape, createdAt: instantShape })
  .openapi('TestClock')

/** `/v1/test-clocks`: clocks that stand still until they are advanced, for customers to live by. */
export function createTestClockRoutes(deps: TestClockRoutesDeps): Api {
  const { authenticator, testClocks, advance, settle, clock, newId } = deps
  const admin = scoped(authenticator, 'admin')
  const reader = scoped(authenticator, 'read')
  const api = createRouter()

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/test-clocks',
      summary: 'Make a test clock',
      tags,
      middleware: admin,
      request: describedBody(api, 'TestClockRequest', requestShape, false),
      responses: {
        201: answer(testClockShape, 'The clock'),
        400: { description: 'Refused, with pointers' },
        409: { description: 'There is one of this id' },
      },
    }),
    async (c) => {
      const { tenant } = c.get('principal')
      const given = readNewClock(c.get('json') ?? {})
      const id = given.id ?? (repeatableId(c, 'clk', newId) as TestClockId)
      const location = `/v1/test-clocks/${id}`
      const createdAt = clock.now()
      const outcome = await testClocks.create({ tenant, id, now: given.now ?? createdAt, createdAt })
      // With an id of ours it is a repeat of a request that made it and died before it could answer.
      if (outcome.kind === 'exists' && given.id !== null) {
        throw refusal(409, 'testClockExists', 'There is such a test clock', [
          { pointer: '/id', detail: `names a test clock that exists; ${location}/advance advances it` },
        ])
      }
      await settle()
      return c.json(testClockView(outcome.clock), 201, { location })
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/test-clocks',
      summary: 'List test clocks by id',
      tags,
      middleware: reader,
      request: { query: strictObject(pageQuery) },
      responses: { 200: answer(pageShape(testClockShape), 'A page') },
    }),
    async (c) => {
      const page = await testClocks.list(c.get('principal').tenant, pageRequest(c.req.valid('query')))
      return c.json(pageView(page, testClockView), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/test-clocks/{id}',
      summary: 'One test clock',
      tags,
      middleware: reader,
      request: { params: idParam },
      responses: { 200: answer(testClockShape, 'The clock'), 404: { description: 'No such test clock' } },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const found = await testClocks.get(c.get('principal').tenant, id as TestClockId)
      if (found === null) throw unknownTestClock(id)
      return c.json(testClockView(found), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/test-clocks/{id}/advance',
      summary: 'Advance a test clock; answered when everything due by then has run',
      description: 'Advancing to the time that it shows lets what is due run again.',
      tags,
      middleware: admin,
      request: { params: idParam, ...describedBody(api, 'AdvanceRequest', advanceShape) },
      responses: {
        200: answer(testClockShape, 'The clock'),
        400: { description: 'Refused, with pointers' },
        404: { description: 'No such test clock' },
        409: { description: 'The clock shows a later time already' },
      },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const to = readAdvance(requiredJson(c))
      const outcome = await advance(c.get('principal').tenant, id as TestClockId, to)
      switch (outcome.kind) {
        case 'advanced':
          await settle()
          return c.json(testClockView(outcome.clock), 200)
        case 'unknown':
          throw unknownTestClock(id)
        case 'backwards': {
          const now = formatInstant(outcome.clock.now)
          throw refusal(
            409,
            'clockNeverGoesBack',
            'A test clock never goes back',
            [
              {
                pointer: '/to',
                detail: `must not be before ${now}, which the clock shows: what was due has run`,
              },
            ],
            { now },
          )
        }
      }
    },
  )
  return api
}

function testClockView({ id, now, createdAt }: TestClock): z.infer<typeof testClockShape> {
  return { id, now: formatInstant(now), createdAt: formatInstant(createdAt) }
}

function readNewClock(raw: unknown): { readonly id: TestClockId | null; readonly now: Instant | null } {
  const reader = new JsonReader()
  const object = reader.object(raw, '', ['id', 'now'])
  if (object === null) throw invalidRequest(reader.faults)
  const id = object['id'] === undefined ? null : (readKey(reader, object, 'id', '') as TestClockId)
  const now = object['now'] === undefined ? null : readInstant(reader, object['now'], '/now')
  if (reader.faults.length > 0) throw invalidRequest(reader.faults)
  return { id, now }
}

function readAdvance(raw: unknown): Instant {
  const reader = new JsonReader()
  const object = reader.object(raw, '', ['to'])
  const to = object === null ? null : readInstant(reader, object['to'], '/to')
  if (to === null || reader.faults.length > 0) throw invalidRequest(reader.faults)
  return to
}

function readInstant(reader: JsonReader, raw: unknown, pointer: string): Instant | null {
  const instant = typeof raw === 'string' ? parseInstant(raw) : null
  if (instant === null) {
    reader.fault(
      'invalidRequest',
      pointer,
      `${raw === undefined ? 'is missing' : 'must be a time of RFC 3339'}, such as "2026-01-01T00:00:00Z"`,
    )
  }
  return instant
}

function unknownTestClock(id: string): ProblemError {
  const detail = `There is no test clock "${id}". POST /v1/test-clocks makes one.`
  return notFound('unknownTestClock', 'test clock', detail)
}
