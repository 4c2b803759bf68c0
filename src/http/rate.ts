import { createRoute, z } from '@hono/zod-openapi'
import type { RatingAnswer } from '../rating/rating-json.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { requiredJson } from './json-body.ts'
import { ProblemError } from './problem.ts'
import { scoped } from './scoped.ts'

/** Requests in one array; more belongs to the `rate` command, which streams. */
const requestsMax = 10_000

export interface RateDeps {
  readonly authenticator: Authenticator
  /** Rates one request as it came, parsed from JSON; refusals are answers. */
  readonly rate: (raw: unknown) => RatingAnswer
}

const decimalText = z.string().openapi({ example: '12.50', description: 'A decimal in plain notation.' })

const ratingRequest = z.record(z.string(), z.unknown()).openapi('RatingRequest', {
  description:
    'A quantity and the price it is rated with. Amounts and quantities are decimals in quotes. Members that are not known are refused.',
  example: {
    id: 'r1',
    currency: 'USD',
    quantity: '18059974',
    price: {
      model: 'graduated',
      tiers: [
        { upTo: '1000000', unitAmount: '0' },
        { upTo: '10000000', unitAmount: '0.0000025' },
        { upTo: null, unitAmount: '0.000002' },
      ],
    },
    discounts: [{ percent: '10' }],
  },
})

const ratedLine = z.object({
  kind: z.string(),
  description: z.string(),
  quantity: decimalText,
  unitAmount: decimalText,
  amount: decimalText,
})

const ratingId = z.union([z.string(), z.number(), z.null()])

const ratingAnswer = z
  .union([
    z.object({
      id: ratingId,
      amount: decimalText,
      exactAmount: decimalText,
      lines: z.array(ratedLine),
      explanation: z.string(),
    }),
    z.object({
      id: ratingId,
      error: z.object({ code: z.string(), detail: z.string(), pointer: z.string() }),
    }),
  ])
  .openapi('RatingAnswer')

const rateRoute = createRoute({
  method: 'post',
  path: '/v1/rate',
  summary: 'Rate quantities with prices, without storing anything',
  tags: ['rating'],
  request: {
    body: {
      required: true,
      content: { 'application/json': { schema: z.union([ratingRequest, z.array(ratingRequest)]) } },
    },
  },
  responses: {
    200: {
      description:
        'The answer of one request; for an array, one answer for each, in the same order: a bad request is answered by its error and does not stop the others',
      content: { 'application/json': { schema: z.union([ratingAnswer, z.array(ratingAnswer)]) } },
    },
    400: { description: 'The one request is not valid, or the body is not JSON' },
  },
})

/** `POST /v1/rate`: the same as the `rate` command, one request or an array. */
export function createRateRoutes({ authenticator, rate }: RateDeps): Api {
  const api = createRouter()
  api.openAPIRegistry.registerPath(rateRoute)
  api.post('/v1/rate', scoped(authenticator, 'read'), (c) => {
    const raw = requiredJson(c)
    if (Array.isArray(raw)) {
      if (raw.length > requestsMax) throw tooMany(raw.length)
      return c.json(raw.map((request: unknown) => rate(request)))
    }
    const answer = rate(raw)
    if ('error' in answer) throw refused(answer.error)
    return c.json(answer)
  })
  return api
}

function refused(error: { code: string; detail: string; pointer: string }): ProblemError {
  return new ProblemError({
    status: 400,
    code: error.code,
    title: 'The request cannot be rated',
    detail: error.pointer === '' ? error.detail : `${error.pointer} ${error.detail}`,
    errors: [{ pointer: error.pointer, detail: error.detail }],
  })
}

function tooMany(count: number): ProblemError {
  return new ProblemError({
    status: 413,
    code: 'tooManyRequests',
    title: 'Too many requests in one array',
    detail: `The array has ${count} requests; at most ${requestsMax} are rated at once. The rate command streams any number.`,
  })
}
