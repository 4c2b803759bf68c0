import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpObserver } from '../api.ts'
import { GATE_PATH, type ProxyAnswer, type ProxyRequest } from './forward-auth.ts'

export interface GateListenerDeps {
  readonly forwardAuth: (request: ProxyRequest) => Promise<ProxyAnswer> | null
  readonly metrics?: HttpObserver
  /** Told of an answer that could not be written; its connection is closed. */
  readonly onFault: (error: unknown) => void
}

/**
 * Takes the requests of proxies off Node's own server; false where a request is not one. They stand before the router:
 * every request of somebody's API waits for this answer, and Request and Response objects would double its time.
 */
export function createGateListener({
  forwardAuth,
  metrics,
  onFault,
}: GateListenerDeps): (request: IncomingMessage, response: ServerResponse) => boolean {
  return (request, response) => {
    const { url = '', headers, method = '' } = request
    if (!url.startsWith(GATE_PATH)) return false
    const startedMs = performance.now()
    const asked = forwardAuth({ url, headers })
    if (asked === null) return false
    asked
      .then(({ route, status, headers: told, body }) => {
        response.writeHead(status, { ...told, 'content-length': Buffer.byteLength(body) })
        // The answer to a question about a HEAD request has no body either: Node leaves it out.
        response.end(body)
        metrics?.answered({ method, route, status, seconds: (performance.now() - startedMs) / 1000 })
      })
      .catch((error: unknown) => {
        onFault(error)
        response.destroy()
      })
    return true
  }
}
