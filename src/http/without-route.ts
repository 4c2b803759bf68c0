import type { Hono } from 'hono'
import { type Problem, problemResponse } from './problem.ts'

type Router = Hono['router']

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

interface Unrouted {
  readonly method: string
  readonly path: string
  readonly requestId: string
}

/**
 * The answer where no route matches: 204 with `Allow` to OPTIONS and 405 with it to other methods where the path has
 * routes, else 404. Without a key: which routes there are is published.
 */
export function withoutRoute(router: Router, { method, path, requestId }: Unrouted): Response {
  const allowed = methodsOf(router, path)
  if (allowed.length === 0) return problemResponse(unknownRoute(router, method, path), requestId)
  const allow = [...allowed, 'OPTIONS'].join(', ')
  if (method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow } })
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
