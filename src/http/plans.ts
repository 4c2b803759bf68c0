import { createRoute } from '@hono/zod-openapi'
import type { PlanCatalog, PutPlanOutcome } from '../catalog/plan-catalog.ts'
import { parsePlan } from '../catalog/plan-parse.ts'
import type { PlanKey } from '../id/ids.ts'
import type { Clock } from '../time/clock.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { requiredJson } from './json-body.ts'
import { pageQuery, pageRequest, pageShape, pageView, wholeNumber } from './listing.ts'
import { planRequestShape, planShape, planView, putPlanShape } from './plan-shapes.ts'
import type { ProblemError } from './problem.ts'
import { answer, describedBody, invalidRequest, keyParam, notFound, refusal } from './route-parts.ts'
import { scoped } from './scoped.ts'
import { strictObject } from './strict-object.ts'

export interface PlanRoutesDeps {
  readonly authenticator: Authenticator
  readonly plans: PlanCatalog
  /** Resolves when what was committed before is on the log and applied in this process. */
  readonly settle: () => Promise<void>
  /** The system's clock. */
  readonly clock: Clock
}

const tags = ['plans']
const VERSION_MAX = 2_147_483_647

/** `/v1/plans`: what is sold and how it is charged, every version of it. */
export function createPlanRoutes({ authenticator, plans, settle, clock }: PlanRoutesDeps): Api {
  const admin = scoped(authenticator, 'admin')
  const reader = scoped(authenticator, 'read')
  const api = createRouter()

  api.openapi(
    createRoute({
      method: 'put',
      path: '/v1/plans/{key}',
      summary: 'Create a plan, or make a new version of it; the same plan again makes none',
      tags,
      middleware: admin,
      request: { params: keyParam, ...describedBody(api, 'PlanRequest', planRequestShape) },
      responses: {
        200: answer(putPlanShape, 'The newest version'),
        400: { description: 'Refused, with pointers' },
        409: {
          description: 'A member that is fixed would change, or overrides of a subscription do not fit',
        },
        422: { description: 'A price names a meter or a dimension that does not exist' },
      },
    }),
    async (c) => {
      const { key } = c.req.valid('param')
      const parsed = parsePlan(requiredJson(c))
      if (parsed.kind === 'faulty') throw invalidRequest(parsed.faults)
      const { tenant } = c.get('principal')
      const outcome = await plans.put(tenant, key as PlanKey, parsed.draft, clock.now())
      switch (outcome.kind) {
        case 'created':
        case 'versioned': {
          await settle()
          const { subscriptionsReached } = outcome
          return c.json({ ...planView(outcome.plan), subscriptionsReached }, 200)
        }
        case 'unchanged':
          await settle()
          return c.json({ ...planView(outcome.plan), subscriptionsReached: 0 }, 200)
        case 'faulty':
        case 'fixed':
        case 'overridesDoNotFit':
          throw planProblem(outcome)
      }
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/plans/{key}',
      summary: 'One plan: its newest version, or another',
      tags,
      middleware: reader,
      request: {
        params: keyParam,
        query: strictObject({
          version: wholeNumber(1, VERSION_MAX).optional(),
        }),
      },
      responses: { 200: answer(planShape, 'The plan'), 404: { description: 'No such plan or version' } },
    }),
    async (c) => {
      const { key } = c.req.valid('param')
      const { version } = c.req.valid('query')
      const { tenant } = c.get('principal')
      const plan =
        version === undefined
          ? await plans.current(tenant, key as PlanKey)
          : await plans.version(tenant, key as PlanKey, version)
      if (plan !== null) return c.json(planView(plan), 200)
      if (version === undefined || (await plans.current(tenant, key as PlanKey)) === null)
        throw unknownPlan(key)
      const detail = `The plan "${key}" has no version ${version}. GET /v1/plans/${key}/versions lists them.`
      throw notFound('unknownVersion', 'version', detail)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/plans/{key}/versions',
      summary: 'Every version of a plan, oldest first',
      tags,
      middleware: reader,
      request: { params: keyParam },
      responses: {
        200: answer(pageShape(planShape), 'All of them'),
        404: { description: 'No such plan' },
      },
    }),
    async (c) => {
      const { key } = c.req.valid('param')
      const versions = await plans.versions(c.get('principal').tenant, key as PlanKey)
      if (versions.length === 0) throw unknownPlan(key)
      return c.json({ data: versions.map(planView), nextCursor: null, hasMore: false }, 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/plans',
      summary: 'List plans by key, each in its newest version',
      tags,
      middleware: reader,
      request: { query: strictObject(pageQuery) },
      responses: { 200: answer(pageShape(planShape), 'A page') },
    }),
    async (c) => {
      const page = await plans.list(c.get('principal').tenant, pageRequest(c.req.valid('query')))
      return c.json(pageView(page, planView), 200)
    },
  )
  return api
}

function unknownPlan(key: string): ProblemError {
  return notFound('unknownPlan', 'plan', `There is no plan "${key}". PUT /v1/plans/${key} creates it.`)
}

function planProblem(
  outcome: Extract<PutPlanOutcome, { kind: 'faulty' | 'fixed' | 'overridesDoNotFit' }>,
): ProblemError {
  switch (outcome.kind) {
    case 'faulty':
      return refusal(422, 'metersDoNotFit', 'Prices name meters that do not fit', outcome.faults)
    case 'fixed':
      return refusal(409, 'fixedMember', 'A member cannot change any more', [
        {
          pointer: `/${outcome.member}`,
          detail: 'cannot change once somebody has subscribed to the plan; make another plan for it',
        },
      ])
    case 'overridesDoNotFit': {
      const { subscription, faults } = outcome
      return refusal(
        409,
        'overridesDoNotFit',
        'The overrides of a subscription do not fit',
        [
          {
            pointer: '/prices',
            detail: `do not go with the overrides of the subscription ${subscription}, which the version would reach: ${faults.map((fault) => `${fault.pointer} ${fault.detail}`).join('; ')}`,
          },
        ],
        { subscription },
      )
    }
  }
}
