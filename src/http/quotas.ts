import { createRoute, z } from '@hono/zod-openapi'
import type { QuotaKey } from '../id/ids.ts'
import type { QuotaStore } from '../provision/ports.ts'
import type { QuotaBook } from '../provision/quota-book.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { ProblemError } from './problem.ts'
import {
  draftOf,
  heldQuotaShape,
  heldQuotaView,
  positiveQuantity,
  quotaKeyText,
  quotaRequestShape,
  quotaShape,
  quotaView,
} from './quota-shapes.ts'
import { scoped } from './scoped.ts'

export interface QuotaRoutesDeps {
  readonly authenticator: Authenticator
  readonly book: QuotaBook
  readonly store: Pick<QuotaStore, 'get' | 'list'>
  /** Resolves when what was committed before is on the log and applied in this process. */
  readonly settle: () => Promise<void>
  /** Names a top-up whose client gave no id. */
  readonly newTopUpId: () => string
}

const PAGE_MAX = 500
const tags = ['quotas']
const json = <Shape extends z.ZodType>(schema: Shape, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})
const keyParam = z.object({ key: quotaKeyText })

/** `/v1/quotas` and `/v1/subjects/{id}/quotas`: limits, where each holder stands in them, and top-ups. */
export function createQuotaRoutes({ authenticator, book, store, settle, newTopUpId }: QuotaRoutesDeps): Api {
  const admin = scoped(authenticator, 'admin')
  const reader = scoped(authenticator, 'read')
  const api = createRouter()

  api.openapi(
    createRoute({
      method: 'put',
      path: '/v1/quotas/{key}',
      summary: 'Create or replace a quota. A changed limit or ladder is in force when the answer comes',
      tags,
      middleware: admin,
      request: {
        params: keyParam,
        body: { required: true, content: { 'application/json': { schema: quotaRequestShape } } },
      },
      responses: { 200: json(quotaShape, 'The quota'), 400: { description: 'Refused, with pointers' } },
    }),
    async (c) => {
      const { key } = c.req.valid('param')
      const outcome = await book.put(draftOf(c.get('principal').tenant, key, c.req.valid('json')))
      if (outcome.kind === 'refused') {
        const { code, pointer, detail } = outcome
        throw new ProblemError({
          status: 400,
          code,
          title: 'The quota is not valid',
          detail,
          errors: [{ pointer, detail }],
        })
      }
      await settle()
      return c.json(quotaView(outcome.quota), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/quotas/{key}',
      summary: 'One quota',
      tags,
      middleware: reader,
      request: { params: keyParam },
      responses: { 200: json(quotaShape, 'The quota'), 404: { description: 'No such quota' } },
    }),
    async (c) => {
      const { key } = c.req.valid('param')
      const quota = await store.get(c.get('principal').tenant, key as QuotaKey)
      if (quota === null) {
        throw new ProblemError({
          status: 404,
          code: 'unknownQuota',
          title: 'No such quota',
          detail: `There is no quota "${key}". PUT /v1/quotas/${key} creates it.`,
        })
      }
      return c.json(quotaView(quota), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/quotas',
      summary: 'List quotas by key',
      tags,
      middleware: reader,
      request: {
        query: z.object({
          limit: z.coerce.number().int().min(1).max(PAGE_MAX).default(100),
          cursor: z.string().optional(),
        }),
      },
      responses: {
        200: json(
          z.object({ data: z.array(quotaShape), nextCursor: z.string().nullable(), hasMore: z.boolean() }),
          'A page',
        ),
      },
    }),
    async (c) => {
      const { limit, cursor } = c.req.valid('query')
      const { data, next } = await store.list(c.get('principal').tenant, {
        limit,
        after: cursor ?? null,
      })
      return c.json({ data: data.map(quotaView), nextCursor: next, hasMore: next !== null }, 200)
    },
  )

  const subjectParam = z.object({ id: z.string().min(1).max(256) })
  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/subjects/{id}/quotas',
      summary:
        'Where a subject stands in its quotas and in those of its customer; also answers for a customer',
      tags,
      middleware: reader,
      request: { params: subjectParam },
      responses: {
        200: json(
          z.object({ data: z.array(heldQuotaShape), nextCursor: z.null(), hasMore: z.literal(false) }),
          'All of them',
        ),
      },
    }),
    async (c) => {
      const held = await book.heldBy(c.get('principal').tenant, c.req.valid('param').id)
      return c.json({ data: held.map(heldQuotaView), nextCursor: null, hasMore: false as const }, 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/subjects/{id}/quotas/{key}/topUp',
      summary: 'More units for the current epoch. Repeating it with the same Idempotency-Key adds nothing',
      tags,
      middleware: admin,
      request: {
        params: subjectParam.extend({ key: quotaKeyText }),
        headers: z.object({ 'idempotency-key': z.string().min(1).max(256).optional() }),
        body: {
          required: true,
          content: { 'application/json': { schema: z.strictObject({ units: positiveQuantity }) } },
        },
      },
      responses: {
        200: json(heldQuotaShape, 'Where the holder stands now'),
        404: { description: 'No key of this subject carries the quota' },
        409: { description: 'The Idempotency-Key was used for something else' },
      },
    }),
    async (c) => {
      const { id, key } = c.req.valid('param')
      const outcome = await book.topUp({
        tenant: c.get('principal').tenant,
        id,
        quotaKey: key as QuotaKey,
        units: c.req.valid('json').units,
        topUpId: c.req.valid('header')['idempotency-key'] ?? newTopUpId(),
      })
      switch (outcome.kind) {
        case 'unknown':
          throw new ProblemError({
            status: 404,
            code: 'quotaNotHeld',
            title: 'The quota is not held',
            detail: `No key of "${id}" carries the quota "${key}". A key with it in "quotas" makes "${id}" hold it.`,
          })
        case 'fraction': {
          const errors = [{ pointer: '/units', detail: 'must be a whole number' }]
          throw new ProblemError({
            status: 400,
            code: 'unitsFraction',
            title: 'The units are not whole',
            detail: `The quota "${key}" is leased: its units are counted one by one.`,
            errors,
          })
        }
        case 'conflict':
          throw new ProblemError({
            status: 409,
            code: 'idempotencyKeyReused',
            title: 'The Idempotency-Key was used before',
            detail: 'It named a top-up of other units or of another quota. Use a new key for a new top-up.',
          })
        case 'added':
        case 'repeated':
          await settle()
          return c.json(heldQuotaView(outcome.held), 200)
      }
    },
  )
  return api
}
