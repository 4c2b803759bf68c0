import { createRoute, z } from '@hono/zod-openapi'
import type { TenantId } from '../id/ids.ts'
import { EVENT_PARTITIONS } from '../usage/topics.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { ProblemError } from './problem.ts'
import { answer, idParam, notFound } from './route-parts.ts'
import { scoped } from './scoped.ts'

/** Work that computes again what follows from the log. */
export interface RebuildJob {
  readonly id: string
  /** `rollups` from the events; `rows` from the log, and then the rollups that differ. */
  readonly kind: 'rollups' | 'rows'
  readonly state: 'running' | 'done' | 'failed'
  /** Minutes of rollups, or records of the log. */
  readonly done: number
  /** Null until it is known. */
  readonly total: number | null
  readonly failure?: string
}

type RebuildStart =
  | { readonly kind: 'started'; readonly job: RebuildJob }
  | { readonly kind: 'busy' }
  /** Another process aggregates. */
  | { readonly kind: 'elsewhere' }

export interface Rebuilds {
  rollups(tenant: TenantId): RebuildStart
  rows(
    tenant: TenantId,
    from: readonly { readonly partition: number; readonly offset: number }[],
  ): RebuildStart
  get(id: string): RebuildJob | null
}

export interface RebuildRoutesDeps {
  readonly authenticator: Authenticator
  readonly rebuilds: Rebuilds
}

const tags = ['operations']
const shape = z
  .object({
    id: z.string(),
    kind: z.enum(['rollups', 'rows']),
    state: z.enum(['running', 'done', 'failed']),
    done: z.number().int(),
    total: z.number().int().nullable(),
    failure: z.string().optional(),
  })
  .openapi('Rebuild')
const replayShape = z.strictObject({
  from: z
    .array(
      z.strictObject({
        partition: z
          .number()
          .int()
          .min(0)
          .max(EVENT_PARTITIONS - 1),
        offset: z.number().int().min(0),
      }),
    )
    .min(1)
    .max(EVENT_PARTITIONS),
})

/** `/v1/rollups/rebuild` and `/v1/replays`: an operator's way to compute again what follows from the log. Scope admin. */
export function createRebuildRoutes({ authenticator, rebuilds }: RebuildRoutesDeps): Api {
  const admin = scoped(authenticator, 'admin')
  const api = createRouter()
  const responses = {
    202: answer(shape, 'The work, under way'),
    409: { description: 'One runs already, or another process aggregates' },
  }
  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/rollups/rebuild',
      summary: 'Compute all rollups again',
      description: 'Usage is read from the events meanwhile: exact, and slower.',
      tags,
      middleware: admin,
      responses,
    }),
    (c) => c.json(started(rebuilds.rollups(c.get('principal').tenant)), 202),
  )
  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/replays',
      summary: 'Write the rows of records again, from the log',
      description:
        'From an offset of a partition to its journal’s end. Rows that are there are united with themselves; those that were lost are there again, and rollups that differ are mended.',
      tags,
      middleware: admin,
      request: { body: { required: true, content: { 'application/json': { schema: replayShape } } } },
      responses,
    }),
    (c) => c.json(started(rebuilds.rows(c.get('principal').tenant, c.req.valid('json').from)), 202),
  )
  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/rebuilds/{id}',
      summary: 'How far such work is',
      tags,
      middleware: admin,
      request: { params: idParam },
      responses: {
        200: answer(shape, 'The work'),
        404: { description: 'Not known, or of before a restart' },
      },
    }),
    (c) => {
      const { id } = c.req.valid('param')
      const job = rebuilds.get(id)
      if (job === null) {
        throw notFound(
          'unknownRebuild',
          'rebuild',
          `No rebuild ${id} is known here. After a restart, begin it again.`,
        )
      }
      return c.json(job, 200)
    },
  )
  return api
}

function started(outcome: RebuildStart): RebuildJob {
  switch (outcome.kind) {
    case 'started':
      return outcome.job
    case 'busy':
      throw new ProblemError({
        status: 409,
        code: 'rebuildRunning',
        title: 'A rebuild runs already',
        detail: 'One runs at a time. Try again when it has ended.',
      })
    case 'elsewhere':
      throw new ProblemError({
        status: 409,
        code: 'aggregatesElsewhere',
        title: 'Another process aggregates',
        detail:
          'Rollups are computed by the process with the role all or aggregate. Ask a server with the role all.',
      })
  }
}
