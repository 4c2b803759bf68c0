import { createRoute, z } from '@hono/zod-openapi'
import type { ApiKeyId, CustomerKey, SubjectId } from '../id/ids.ts'
import type { KeyState } from '../provision/key-state.ts'
import type { Gatekeeper } from '../provision/gatekeeper.ts'
import type { Keyring } from '../provision/keyring.ts'
import type { KeyTable } from '../provision/key-table.ts'
import type { KeyStore } from '../provision/ports.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import {
  instantView,
  keyRequestShape,
  keyShape,
  type KeyView,
  keyView,
  mintedKeyShape,
} from './key-shapes.ts'
import { checkRequestOf, checkRequestShape, checkWith, permissionOf } from './keys-check.ts'
import { changed, conflict, importedHash, unknownKey } from './keys-problems.ts'
import { ProblemError } from './problem.ts'
import { scoped } from './scoped.ts'
import { verificationShape, verificationView } from './verification-shape.ts'

export interface KeyRoutesDeps {
  readonly authenticator: Authenticator
  readonly keyring: Keyring
  readonly store: Pick<KeyStore, 'get' | 'list' | 'lastUses'>
  readonly table: Pick<KeyTable, 'verify' | 'explain'>
  /** Takes the units of leased quotas; without it `cost` is refused. */
  readonly gatekeeper?: Gatekeeper
  /** Resolves when what was committed before is on the log and applied in this process. */
  readonly settle: () => Promise<void>
  /** Resolves when it is applied in every process that answers for keys, or `late` when one takes too long. */
  readonly settleEverywhere: () => Promise<'applied' | 'late'> | Promise<void>
}

const OVERLAP_SECONDS = 86_400
const OVERLAP_SECONDS_MAX = 31_536_000
const PAGE_MAX = 500

const idParam = z.object({ id: z.string().min(1).max(64) })
const tags = ['keys']
const json = <Shape extends z.ZodType>(schema: Shape, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})
const body = <Shape extends z.ZodType>(schema: Shape, required = true) => ({
  body: { required, content: { 'application/json': { schema } } },
})

/** `/v1/keys`: mint, list, rotate, suspend, revoke and verify API keys. */
export function createKeyRoutes(deps: KeyRoutesDeps): Api {
  const { authenticator, keyring, store, table, gatekeeper, settle, settleEverywhere } = deps
  const admin = scoped(authenticator, 'admin')
  const reader = scoped(authenticator, 'read')
  const api = createRouter()
  const views = async (states: readonly KeyState[]): Promise<KeyView[]> => {
    const [first] = states
    if (first === undefined) return []
    const lastUses = await store.lastUses(
      first.tenant,
      states.map((state) => state.keyId),
    )
    return states.map((state) =>
      keyView(state, keyring.conditionOf(state), lastUses.get(state.keyId) ?? null),
    )
  }
  const view = async (state: KeyState): Promise<KeyView> =>
    keyView(
      state,
      keyring.conditionOf(state),
      (await store.lastUses(state.tenant, [state.keyId])).get(state.keyId) ?? null,
    )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/keys',
      summary: 'Make an API key. The answer is the only place where it is ever shown',
      tags,
      middleware: admin,
      request: body(keyRequestShape),
      responses: { 201: json(mintedKeyShape, 'The key'), 400: { description: 'Refused, with pointers' } },
    }),
    async (c) => {
      const { tenant } = c.get('principal')
      const { hash, ...request } = c.req.valid('json')
      const outcome =
        hash === undefined
          ? await keyring.mint({ tenant, ...request })
          : await keyring.import({ tenant, ...request }, importedHash(hash))
      if (outcome.kind === 'refused') {
        const { code, pointer, detail } = outcome
        throw new ProblemError({
          status: 400,
          code,
          title: 'The key cannot be made',
          detail,
          errors: [{ pointer, detail }],
        })
      }
      await settle()
      const key = outcome.kind === 'minted' ? outcome.key : null
      return c.json({ ...(await view(outcome.state)), key }, 201, {
        location: `/v1/keys/${outcome.state.keyId}`,
        ...SECRET,
      })
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/keys',
      summary: 'List API keys, oldest first',
      tags,
      middleware: reader,
      request: {
        query: z.object({
          customer: z.string().optional(),
          subject: z.string().optional(),
          limit: z.coerce.number().int().min(1).max(PAGE_MAX).default(100),
          cursor: z.string().optional(),
        }),
      },
      responses: {
        200: json(
          z.object({ data: z.array(keyShape), nextCursor: z.string().nullable(), hasMore: z.boolean() }),
          'A page',
        ),
      },
    }),
    async (c) => {
      const { customer, subject, limit, cursor } = c.req.valid('query')
      const filter = {
        customer: customer as CustomerKey | undefined,
        subject: subject as SubjectId | undefined,
      }
      const page = await store.list(c.get('principal').tenant, filter, { limit, after: cursor ?? null })
      return c.json({ data: await views(page.data), nextCursor: page.next, hasMore: page.next !== null }, 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/keys/verify',
      summary: 'May this key be used now? The decision of the gate, as an answer',
      description:
        'Always answered 200; `status` is what to answer the caller of your own API with. A valid answer spends one request of the rate.',
      tags,
      middleware: reader,
      request: body(checkRequestShape),
      responses: { 200: json(verificationShape, 'The decision') },
    }),
    async (c) => {
      const request = checkRequestOf(c.get('principal').tenant, c.req.valid('json'))
      if (request.cost.size === 0) return c.json(verificationView(table.verify(request)), 200, SECRET)
      const { verification, reserved } = await checkWith(gatekeeper, request)
      // What is announced here is used: work of unknown cost goes through /v1/reservations.
      reserved?.settle()
      return c.json(verificationView(verification), 200, SECRET)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/keys/{id}',
      summary: 'One API key',
      tags,
      middleware: reader,
      request: { params: idParam },
      responses: { 200: json(keyShape, 'The key, without the key'), 404: { description: 'No such key' } },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const state = await store.get(c.get('principal').tenant, id as ApiKeyId)
      if (state === null) throw unknownKey(id)
      return c.json(await view(state), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/keys/{id}/why',
      summary:
        'Why a key is or is not valid now: the decision without presenting the key, and without spending',
      tags,
      middleware: reader,
      request: { params: idParam, query: z.object({ permission: z.string().optional() }) },
      responses: { 200: json(verificationShape, 'The decision'), 404: { description: 'No such key' } },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const state = await store.get(c.get('principal').tenant, id as ApiKeyId)
      if (state === null) throw unknownKey(id)
      const { permission = null } = c.req.valid('query')
      return c.json(verificationView(table.explain(state, permissionOf(permission))), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/keys/{id}/rotate',
      summary: 'Replace a key; the old one stays valid for the overlap',
      tags,
      middleware: admin,
      request: {
        params: idParam,
        ...body(
          z.strictObject({ overlapSeconds: z.number().int().min(0).max(OVERLAP_SECONDS_MAX).optional() }),
          false,
        ),
      },
      responses: {
        201: json(
          mintedKeyShape.extend({ rotatedFrom: z.string(), previousExpiresAt: z.string().nullable() }),
          'The new key',
        ),
        404: { description: 'No such key' },
        409: { description: 'Revoked, or rotated before' },
      },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const { overlapSeconds = OVERLAP_SECONDS } = c.req.valid('json')
      const outcome = await keyring.rotate(c.get('principal').tenant, id as ApiKeyId, overlapSeconds * 1000)
      switch (outcome.kind) {
        case 'unknown':
          throw unknownKey(id)
        case 'revoked':
          throw conflict('revokedKey', `The key ${id} was revoked, which is for good. Make a new one.`)
        case 'alreadyRotated':
          throw conflict('alreadyRotated', `The key ${id} was replaced by ${outcome.to}. Rotate that one.`)
        case 'rotated': {
          await settle()
          const { state, predecessor, key } = outcome
          const previousExpiresAt = instantView(predecessor.expiresAt)
          return c.json({ ...(await view(state)), key, rotatedFrom: id, previousExpiresAt }, 201, {
            location: `/v1/keys/${state.keyId}`,
            ...SECRET,
          })
        }
      }
    },
  )

  api.openapi(
    createRoute({
      method: 'delete',
      path: '/v1/keys/{id}',
      summary: 'Revoke a key, for good',
      description:
        'With `wait=applied` the answer comes when every process that answers for keys refuses this one.',
      tags,
      middleware: admin,
      request: { params: idParam, query: z.object({ wait: z.literal('applied').optional() }) },
      responses: {
        200: json(keyShape.extend({ applied: z.boolean() }), 'The revoked key'),
        404: { description: 'No such key' },
      },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const everywhere = c.req.valid('query').wait === 'applied'
      const state = changed(id, await keyring.revoke(c.get('principal').tenant, id as ApiKeyId))
      const reached = await (everywhere ? settleEverywhere() : settle())
      return c.json({ ...(await view(state)), applied: everywhere && reached !== 'late' }, 200)
    },
  )

  const kind = z.enum(['admin', 'payment', 'leak']).optional()
  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/keys/{id}/suspend',
      summary: 'Suspend a key until the same kind of cause is lifted',
      tags,
      middleware: admin,
      request: { params: idParam, ...body(z.strictObject({ kind, reason: z.string().min(1).max(500) })) },
      responses: { 200: json(keyShape, 'The key'), 404: { description: 'No such key' } },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const { tenant, keyId } = c.get('principal')
      const { kind: given = 'admin', reason } = c.req.valid('json')
      const cause = { kind: given, reason, by: keyId }
      const state = changed(id, await keyring.suspend(tenant, id as ApiKeyId, cause))
      await settle()
      return c.json(await view(state), 200)
    },
  )
  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/keys/{id}/resume',
      summary: 'Lift a cause of suspension; others stay in force',
      tags,
      middleware: admin,
      request: { params: idParam, ...body(z.strictObject({ kind }), false) },
      responses: { 200: json(keyShape, 'The key'), 404: { description: 'No such key' } },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const { kind: lifted = 'admin' } = c.req.valid('json')
      const state = changed(id, await keyring.resume(c.get('principal').tenant, id as ApiKeyId, lifted))
      await settle()
      return c.json(await view(state), 200)
    },
  )
  return api
}

/** Answers that hold or concern a secret are kept by no cache. */
const SECRET = { 'cache-control': 'no-store' }
