import { createRoute, z } from '@hono/zod-openapi'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { ProblemError } from './problem.ts'
import { answer, idParam, notFound } from './route-parts.ts'
import { scoped } from './scoped.ts'

/** A backup that runs, is done or has failed. */
export interface BackupJob {
  readonly id: string
  /** On the server's machine. */
  readonly directory: string
  readonly state: 'running' | 'done' | 'failed'
  /** RFC 3339. */
  readonly startedAt: string
  readonly finishedAt?: string
  /** Bytes of its files. */
  readonly bytes?: string
  /** What is being copied. */
  readonly step?: string
  readonly failure?: string
}

/** Backups of the embedded engines of the process that is asked. */
export interface BackupJobs {
  start():
    | { readonly kind: 'started'; readonly job: BackupJob }
    | { readonly kind: 'busy' }
    | { readonly kind: 'servers' }
  get(id: string): BackupJob | null
  /** The newest first. */
  list(): readonly BackupJob[]
}

export interface BackupRoutesDeps {
  readonly authenticator: Authenticator
  readonly backups: BackupJobs
}

const tags = ['operations']
const shape = z
  .object({
    id: z.string(),
    directory: z.string().openapi({ description: 'On the server’s machine.' }),
    state: z.enum(['running', 'done', 'failed']),
    startedAt: z.string(),
    finishedAt: z.string().optional(),
    bytes: z.string().optional(),
    step: z.string().optional(),
    failure: z.string().optional(),
  })
  .openapi('Backup')

/** `/v1/backups`: a copy of everything while the server runs. Scope admin. */
export function createBackupRoutes({ authenticator, backups }: BackupRoutesDeps): Api {
  const admin = scoped(authenticator, 'admin')
  const api = createRouter()
  api.openapi(
    createRoute({
      method: 'post',
      path: '/v1/backups',
      summary: 'Begin a backup',
      description:
        'Copies the embedded engines into a new directory on the server’s machine while events are accepted. It holds every tenant’s data. Answered at once; ask `GET /v1/backups/{id}` until its state is `done` or `failed`.',
      tags,
      middleware: admin,
      responses: {
        202: answer(shape, 'The backup, under way'),
        409: { description: 'One runs already, or the engines are servers' },
      },
    }),
    (c) => {
      const outcome = backups.start()
      switch (outcome.kind) {
        case 'started':
          return c.json(outcome.job, 202, { location: `/v1/backups/${outcome.job.id}` })
        case 'busy':
          throw new ProblemError({
            status: 409,
            code: 'backupRunning',
            title: 'A backup runs already',
            detail:
              'One backup runs at a time. GET /v1/backups says how far it is; try again when it is done.',
          })
        case 'servers':
          throw new ProblemError({
            status: 409,
            code: 'enginesAreServers',
            title: 'The engines are servers',
            detail:
              'Kafka, ClickHouse and PostgreSQL that run as servers are backed up with their own tools. docs/backup.md says which and in what order.',
          })
      }
    },
  )
  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/backups',
      summary: 'Backups on this server’s machine',
      tags,
      middleware: admin,
      responses: {
        200: answer(
          z.object({ data: z.array(shape), nextCursor: z.null(), hasMore: z.literal(false) }),
          'All of them, the newest first',
        ),
      },
    }),
    (c) => c.json({ data: [...backups.list()], nextCursor: null, hasMore: false as const }, 200),
  )
  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/backups/{id}',
      summary: 'A backup and how far it is',
      tags,
      middleware: admin,
      request: { params: idParam },
      responses: { 200: answer(shape, 'The backup'), 404: { description: 'There is no such backup' } },
    }),
    (c) => {
      const { id } = c.req.valid('param')
      const job = backups.get(id)
      if (job === null) {
        throw notFound(
          'backupNotFound',
          'backup',
          `There is no backup ${id} here. GET /v1/backups lists them.`,
        )
      }
      return c.json(job, 200)
    },
  )
  return api
}
