import { randomUUID } from 'node:crypto'
import { type Api, createApi } from '../http/api.ts'
import { createHttpMetrics } from '../telemetry/http.ts'
import { startApiServer } from './api-server.ts'
import type { Shell } from './shell.ts'

const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 60_000

/** Puts the routes on the API's socket. Answers its URL. @throws StartFailure when it cannot listen */
export async function serveApi(shell: Shell, routes: readonly Api[]): Promise<string> {
  const { config, registry, closing, onFault } = shell
  const api = createApi({
    newRequestId: randomUUID,
    onFault: (error, requestId) => onFault(`request ${requestId}`, error),
    metrics: createHttpMetrics(registry),
  })
  for (const one of routes) api.route('/', one)
  const server = await startApiServer({
    host: config.host,
    port: config.port,
    fetch: (request, env) => api.fetch(request, env as object),
    headersTimeoutMs: HEADERS_TIMEOUT_MS,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  })
  closing.add('API', () => server.stop(config.shutdownSeconds * 1000))
  return server.url
}
