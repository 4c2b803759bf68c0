import { createRoute, z } from '@hono/zod-openapi'
import type { Reconciler } from '../aggregate/reconcile.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { scoped } from './scoped.ts'

export interface ReconcileRoutesDeps {
  readonly authenticator: Authenticator
  readonly reconciler: Pick<Reconciler, 'run'>
}

const reconciliationShape = z
  .object({
    ok: z.boolean(),
    checks: z.array(
      z.object({
        name: z.string(),
        ok: z.boolean(),
        expected: z.string(),
        actual: z.string(),
        detail: z.string(),
        counts: z.record(z.string(), z.number().int()),
      }),
    ),
  })
  .openapi('Reconciliation')

/** `POST /v1/reconcile`: every conservation check, now. 200 also where one fails: `ok` says it. */
export function createReconcileRoutes({ authenticator, reconciler }: ReconcileRoutesDeps): Api {
  const api = createRouter()
  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/reconcile',
      summary: 'Whether every received event is accounted for',
      description:
        'Reads the log again and compares it with the journal, the events that count, and the rollups. fixRollups computes again what differs from the events; nothing else is ever changed.',
      tags: ['operations'],
      middleware: scoped(authenticator, 'admin'),
      request: {
        body: {
          content: {
            'application/json': { schema: z.strictObject({ fixRollups: z.boolean().default(false) }) },
          },
        },
      },
      responses: {
        200: {
          description: 'The checks',
          content: { 'application/json': { schema: reconciliationShape } },
        },
      },
    }),
    async (c) => {
      const { ok, checks } = await reconciler.run(c.get('principal').tenant, {
        fixRollups: c.req.valid('json').fixRollups,
      })
      return c.json({ ok, checks: checks.map((check) => ({ ...check, counts: { ...check.counts } })) }, 200)
    },
  )
  return api
}
