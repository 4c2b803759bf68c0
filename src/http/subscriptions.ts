import { createRoute } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { PlanCatalog } from '../catalog/plan-catalog.ts'
import type { CustomerKey, PlanKey, SubscriptionId, TenantId } from '../id/ids.ts'
import type {
  HeldSubscription,
  SubscriptionBook,
  SubscriptionCommand,
} from '../subscription/subscription-book.ts'
import { presentPhase } from '../subscription/subscription.ts'
import type { BillingInterval } from '../time/billing-period.ts'
import type { Clock } from '../time/clock.ts'
import { type Api, type ApiEnv, type Authenticator, createRouter } from './api.ts'
import { repeatableId } from './idempotency.ts'
import { requiredJson } from './json-body.ts'
import { pageQuery, pageRequest, pageShape, pageView } from './listing.ts'
import { answer, describedBody, idParam, keyFilter } from './route-parts.ts'
import { scoped } from './scoped.ts'
import { strictObject } from './strict-object.ts'
import { type Asked, createProblem, heldAfter, unknownSubscription } from './subscription-problems.ts'
import {
  readCancel,
  readNewSubscription,
  readNothing,
  readPause,
  readPlanChange,
} from './subscription-requests.ts'
import {
  cancelShape,
  noticeShape,
  noticeView,
  pauseShape,
  planChangeShape,
  subscriptionRequestShape,
  subscriptionShape,
  subscriptionView,
} from './subscription-shapes.ts'

export interface SubscriptionRoutesDeps {
  readonly authenticator: Authenticator
  readonly subscriptions: Pick<
    SubscriptionBook,
    'get' | 'list' | 'history' | 'create' | 'command' | 'changePlan'
  >
  readonly plans: Pick<PlanCatalog, 'version'>
  /** Resolves when what was committed before is on the log and applied in this process. */
  readonly settle: () => Promise<void>
  /** The system's clock. */
  readonly clock: Clock
  readonly newId: () => SubscriptionId
}

const tags = ['subscriptions']
const commandResponses = {
  200: answer(subscriptionShape, 'The subscription as it is now; the same when it was so already'),
  400: { description: 'Refused, with pointers' },
  404: { description: 'No such subscription' },
  409: { description: 'The state does not allow it; nothing was done' },
  422: { description: 'The time is not in the future, or the plan does not fit' },
}

/** `/v1/subscriptions`: customers on plans over time. */
export function createSubscriptionRoutes(deps: SubscriptionRoutesDeps): Api {
  const { authenticator, subscriptions, plans, settle, clock, newId } = deps
  const admin = scoped(authenticator, 'admin')
  const reader = scoped(authenticator, 'read')
  const api = createRouter()

  async function intervalOf({ subscription, testClockNow }: HeldSubscription): Promise<BillingInterval> {
    const { plan, version } = presentPhase(subscription, testClockNow ?? clock.now())
    const found = await plans.version(subscription.tenant, plan, version)
    if (found === null)
      throw new Error(`${subscription.id} is on ${plan} version ${version}, which is not there`)
    return found.interval
  }
  async function view(held: HeldSubscription) {
    const { subscription, testClockNow } = held
    return subscriptionView(subscription, await intervalOf(held), testClockNow ?? clock.now())
  }

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/subscriptions',
      summary: 'Subscribe a customer to a plan',
      tags,
      middleware: admin,
      request: describedBody(api, 'SubscriptionRequest', subscriptionRequestShape),
      responses: {
        201: answer(subscriptionShape, 'The subscription'),
        400: { description: 'Refused, with pointers' },
        422: { description: 'The customer, the plan, the anchor day or the overrides do not fit' },
      },
    }),
    async (c) => {
      const request = readNewSubscription(requiredJson(c))
      const { tenant } = c.get('principal')
      const id = repeatableId(c, 'sub', newId) as SubscriptionId
      const outcome = await subscriptions.create({ ...request, tenant, id }, clock.now())
      if (outcome.kind !== 'created') throw createProblem(outcome, request)
      await settle()
      return c.json(await view(outcome.held), 201, { location: `/v1/subscriptions/${id}` })
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/subscriptions',
      summary: 'List subscriptions, oldest first',
      tags,
      middleware: reader,
      request: { query: strictObject({ customer: keyFilter, plan: keyFilter, ...pageQuery }) },
      responses: { 200: answer(pageShape(subscriptionShape), 'A page') },
    }),
    async (c) => {
      const { customer, plan, ...page } = c.req.valid('query')
      const filter = {
        ...(customer === undefined ? {} : { customer: customer as CustomerKey }),
        ...(plan === undefined ? {} : { plan: plan as PlanKey }),
      }
      const { data, next } = await subscriptions.list(c.get('principal').tenant, pageRequest(page), filter)
      const views = await Promise.all(data.map(view))
      return c.json(
        pageView({ data: views, next }, (one) => one),
        200,
      )
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/subscriptions/{id}',
      summary: 'One subscription',
      tags,
      middleware: reader,
      request: { params: idParam },
      responses: {
        200: answer(subscriptionShape, 'The subscription'),
        404: { description: 'No such subscription' },
      },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const held = await subscriptions.get(c.get('principal').tenant, id as SubscriptionId)
      if (held === null) throw unknownSubscription(id)
      return c.json(await view(held), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/subscriptions/{id}/history',
      summary: 'Everything that happened to a subscription, oldest first',
      tags,
      middleware: reader,
      request: { params: idParam },
      responses: {
        200: answer(pageShape(noticeShape), 'All of it'),
        404: { description: 'No such subscription' },
      },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const { tenant } = c.get('principal')
      if ((await subscriptions.get(tenant, id as SubscriptionId)) === null) throw unknownSubscription(id)
      const notices = await subscriptions.history(tenant, id as SubscriptionId)
      return c.json({ data: notices.map(noticeView), nextCursor: null, hasMore: false }, 200)
    },
  )

  async function run(tenant: TenantId, id: string, command: SubscriptionCommand, asked: Asked) {
    const outcome = await subscriptions.command(tenant, id as SubscriptionId, command, clock.now())
    const held = heldAfter(outcome, id, asked, command.kind === 'pause' ? '/resumeAt' : '/at')
    await settle()
    return view(held)
  }

  /** The body of a command may be left out. */
  const bodyOf = (c: Context<ApiEnv>): unknown => c.get('json') ?? {}

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/subscriptions/{id}/cancel',
      summary: 'End a subscription: now, at the end of its period, or at a time',
      description:
        'The instant of the end does not belong to it any more. What is scheduled can be taken back with uncancel.',
      tags,
      middleware: admin,
      request: { params: idParam, ...describedBody(api, 'CancelRequest', cancelShape, false) },
      responses: commandResponses,
    }),
    async (c) => {
      const command = { kind: 'cancel', ...readCancel(bodyOf(c)) } as const
      return c.json(await run(c.get('principal').tenant, c.req.valid('param').id, command, 'canceled'), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/subscriptions/{id}/uncancel',
      summary: 'Take a scheduled end back',
      tags,
      middleware: admin,
      request: { params: idParam },
      responses: commandResponses,
    }),
    async (c) => {
      readNothing(bodyOf(c))
      const { id } = c.req.valid('param')
      return c.json(await run(c.get('principal').tenant, id, { kind: 'uncancel' }, 'uncanceled'), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/subscriptions/{id}/pause',
      summary: 'Charge nothing from now on, until a time or until it is resumed',
      tags,
      middleware: admin,
      request: { params: idParam, ...describedBody(api, 'PauseRequest', pauseShape, false) },
      responses: commandResponses,
    }),
    async (c) => {
      const command = { kind: 'pause', ...readPause(bodyOf(c)) } as const
      return c.json(await run(c.get('principal').tenant, c.req.valid('param').id, command, 'paused'), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/subscriptions/{id}/resume',
      summary: 'Go on after a pause',
      tags,
      middleware: admin,
      request: { params: idParam },
      responses: commandResponses,
    }),
    async (c) => {
      readNothing(bodyOf(c))
      const { id } = c.req.valid('param')
      return c.json(await run(c.get('principal').tenant, id, { kind: 'resume' }, 'resumed'), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/subscriptions/{id}/change',
      summary: 'Move to another plan of the same interval and currency, or to other overrides',
      tags,
      middleware: admin,
      request: { params: idParam, ...describedBody(api, 'PlanChangeRequest', planChangeShape) },
      responses: commandResponses,
    }),
    async (c) => {
      const change = readPlanChange(requiredJson(c))
      const { id } = c.req.valid('param')
      const { tenant } = c.get('principal')
      const outcome = await subscriptions.changePlan(tenant, id as SubscriptionId, change, clock.now())
      const held = heldAfter(outcome, id, 'changed', '/at', change.plan)
      await settle()
      return c.json(await view(held), 200)
    },
  )
  return api
}
