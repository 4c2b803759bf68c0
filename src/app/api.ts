import { randomUUID } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import { type Api, type ApiEnv, createApi } from '../http/api.ts'
import { createOpenApiRoutes } from '../http/openapi.ts'
import { createHttpMetrics } from '../telemetry/http.ts'
import type { LocalGate } from '../provision/local-gate.ts'
import { startApiServer } from './api-server.ts'
import { openGateDoor } from './gate-door.ts'
import type { Shell } from './shell.ts'

const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 60_000

export interface ServedRoutes {
  /** Routes of events: nothing that is not theirs stands before them. */
  readonly events: readonly Api[]
  /** Stands before every route of the control plane. */
  readonly before: readonly MiddlewareHandler<ApiEnv>[]
  readonly control: readonly Api[]
  /** The gate that proxies ask, before the router. */
  readonly gate: LocalGate
}

/** Puts the routes on the API's socket. Answers its URL. @throws StartFailure when it cannot listen */
export async function serveApi(shell: Shell, routes: Partial<ServedRoutes>): Promise<string> {
  const { config, registry, closing, onFault } = shell
  const metrics = createHttpMetrics(registry)
  const api = createApi({
    newRequestId: randomUUID,
    onFault: (error, requestId) => onFault(`request ${requestId}`, error),
    metrics,
  })
  for (const one of routes.events ?? []) api.route('/', one)
  for (const middleware of routes.before ?? []) api.use('*', middleware)
  const control = routes.control ?? []
  for (const one of control) api.route('/', one)
  api.route('/', createOpenApiRoutes(shell.version, [...(routes.events ?? []), ...control]))
  const server = await startApiServer({
    host: config.host,
    port: config.port,
    fetch: (request, env) => api.fetch(request, env),
    ...(routes.gate === undefined ? {} : { direct: await openGateDoor(shell, routes.gate, metrics) }),
    headersTimeoutMs: HEADERS_TIMEOUT_MS,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  })
  closing.add('API', () => server.stop(config.shutdownSeconds * 1000))
  return server.url
}
