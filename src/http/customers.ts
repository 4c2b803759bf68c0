import { createRoute } from '@hono/zod-openapi'
import { parseCustomer } from '../customer/customer-parse.ts'
import type { CustomerDefinition } from '../customer/customer.ts'
import type { CustomerRegistry, PutCustomerOutcome } from '../customer/customer-registry.ts'
import type { CustomerKey } from '../id/ids.ts'
import type { Clock } from '../time/clock.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { customerRequestShape, customerShape, customerView } from './customer-shapes.ts'
import { requiredJson } from './json-body.ts'
import { pageQuery, pageRequest, pageShape, pageView } from './listing.ts'
import type { ProblemError } from './problem.ts'
import { answer, describedBody, invalidRequest, keyParam, notFound, refusal } from './route-parts.ts'
import { scoped } from './scoped.ts'
import { strictObject } from './strict-object.ts'

export interface CustomerRoutesDeps {
  readonly authenticator: Authenticator
  readonly customers: Pick<CustomerRegistry, 'get' | 'list' | 'put'>
  /** Resolves when what was committed before is on the log and applied in this process. */
  readonly settle: () => Promise<void>
  /** The system's clock. */
  readonly clock: Clock
}

const tags = ['customers']

/** `/v1/customers`: who pays, and for which subjects. */
export function createCustomerRoutes({ authenticator, customers, settle, clock }: CustomerRoutesDeps): Api {
  const admin = scoped(authenticator, 'admin')
  const reader = scoped(authenticator, 'read')
  const api = createRouter()

  api.openapi(
    createRoute({
      method: 'put',
      path: '/v1/customers/{key}',
      summary: 'Create or replace a customer',
      description:
        'A subject that is left out keeps its past usage with the customer; its usage from now on is nobody’s until a customer takes it.',
      tags,
      middleware: admin,
      request: { params: keyParam, ...describedBody(api, 'CustomerRequest', customerRequestShape) },
      responses: {
        200: answer(customerShape, 'The customer'),
        400: { description: 'Refused, with pointers' },
        409: { description: 'A subject is another customer’s, or a member that is fixed would change' },
        422: { description: 'There is no such test clock' },
      },
    }),
    async (c) => {
      const key = c.req.valid('param').key as CustomerKey
      const parsed = parseCustomer(requiredJson(c), key)
      if (parsed.kind === 'faulty') throw invalidRequest(parsed.faults)
      const { tenant } = c.get('principal')
      const outcome = await customers.put(tenant, key, parsed.definition, clock.now())
      switch (outcome.kind) {
        case 'created':
        case 'replaced':
        case 'unchanged':
          await settle()
          return c.json(customerView(outcome.customer), 200)
        case 'unknownTestClock':
        case 'subjectTaken':
        case 'fixed':
          throw customerProblem(outcome, parsed.definition)
      }
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/customers/{key}',
      summary: 'One customer',
      tags,
      middleware: reader,
      request: { params: keyParam },
      responses: { 200: answer(customerShape, 'The customer'), 404: { description: 'No such customer' } },
    }),
    async (c) => {
      const { key } = c.req.valid('param')
      const customer = await customers.get(c.get('principal').tenant, key as CustomerKey)
      if (customer === null) {
        const detail = `There is no customer "${key}". PUT /v1/customers/${key} creates it.`
        throw notFound('unknownCustomer', 'customer', detail)
      }
      return c.json(customerView(customer), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/customers',
      summary: 'List customers by key',
      tags,
      middleware: reader,
      request: { query: strictObject(pageQuery) },
      responses: { 200: answer(pageShape(customerShape), 'A page') },
    }),
    async (c) => {
      const page = await customers.list(c.get('principal').tenant, pageRequest(c.req.valid('query')))
      return c.json(pageView(page, customerView), 200)
    },
  )
  return api
}

function customerProblem(
  outcome: Extract<PutCustomerOutcome, { kind: 'unknownTestClock' | 'subjectTaken' | 'fixed' }>,
  definition: CustomerDefinition,
): ProblemError {
  switch (outcome.kind) {
    case 'unknownTestClock':
      return refusal(422, 'unknownTestClock', 'No such test clock', [
        {
          pointer: '/testClock',
          detail: `names no test clock: there is no "${outcome.testClock}". POST /v1/test-clocks makes one`,
        },
      ])
    case 'subjectTaken': {
      const { subject, by } = outcome
      const index = definition.subjects.indexOf(subject)
      return refusal(
        409,
        'subjectTaken',
        'Another customer pays for a subject',
        [
          {
            pointer: index < 0 ? '/subjects' : `/subjects/${index}`,
            detail: `is a subject of the customer "${by}": leave "${subject}" out there first`,
          },
        ],
        { subject, customer: by },
      )
    }
    case 'fixed':
      return refusal(409, 'fixedMember', 'A member cannot change any more', [
        {
          pointer: `/${outcome.member}`,
          detail: 'cannot change once the customer has subscribed; make another customer for it',
        },
      ])
  }
}
