import type { Hono } from 'hono'
import { type Problem, problemResponse } from './problem.ts'

type Router = Hono['router']

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** The header by which a sender of CloudEvents asks whether it may, and what it says of itself. */
const REQUEST_ORIGIN = 'webhook-request-origin'
/** A DNS name, as the handshake asks for. */
const ORIGIN = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/
const RATE = /^[1-9]\d{0,9}$/
const EVENTS_PATH = '/v1/events'

interface Unrouted {
  readonly header: (name: string) => string | undefined
  readonly method: string
  readonly path: string
  readonly requestId: string
}

/**
 * The answer where no route matches: 204 with `Allow` to OPTIONS and 405 with it to other methods where the path has
 * routes, else 404. Without a key: which routes there are is published.
 */
export function withoutRoute(router: Router, { header, method, path, requestId }: Unrouted): Response {
  const allowed = methodsOf(router, path)
  if (allowed.length === 0) return problemResponse(unknownRoute(router, method, path), requestId)
  const allow = [...allowed, 'OPTIONS'].join(', ')
  if (method === 'OPTIONS') {
    const handshake = path === EVENTS_PATH ? webhookHandshake(header) : {}
    return new Response(null, { status: 204, headers: { allow, ...handshake } })
  }
  return problemResponse(
    {
      status: 405,
      code: 'methodNotAllowed',
      title: 'The path has no such method',
      detail: `There is no ${method} ${path}; there is ${allowed.join(', ')}.`,
      headers: { allow },
    },
    requestId,
  )
}

/**
 * HTTP 1.1 Web Hooks for Event Delivery, section 4: a sender asks before it sends. Any may, for each delivery needs a key
 * with the scope `ingest`; the rate that it asks for is granted, because what is too much is answered 503 anyway. No
 * callback is called: the answer is here.
 */
function webhookHandshake(header: Unrouted['header']): Readonly<Record<string, string>> {
  const origin = header(REQUEST_ORIGIN)
  if (origin === undefined || !ORIGIN.test(origin)) return {}
  const rate = header('webhook-request-rate')
  return {
    'webhook-allowed-origin': origin,
    'webhook-allowed-rate': rate !== undefined && RATE.test(rate) ? rate : '*',
  }
}

/** Every method that a path has a route for; GET answers HEAD, too. */
function methodsOf(router: Router, path: string): readonly string[] {
  return METHODS.flatMap((method) => {
    const [handlers] = router.match(method, path)
    // Middleware stands under every method.
    if (!handlers.some(([[, route]]) => route.method === method)) return []
    return method === 'GET' ? ['GET', 'HEAD'] : [method]
  })
}

/** A path that ends with a slash is mostly one whose last part came out empty; it must not mean the list. */
function unknownRoute(router: Router, method: string, path: string): Problem {
  const trimmed = path.replace(/\/+$/, '')
  const hint =
    trimmed !== path && methodsOf(router, trimmed).length > 0
      ? `No path ends with "/"; there is ${trimmed}.`
      : 'The routes stand in /openapi.json.'
  return {
    status: 404,
    code: 'unknownRoute',
    title: 'No such route',
    detail: `There is no ${method} ${path}. ${hint}`,
  }
}
