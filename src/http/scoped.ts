import type { MiddlewareHandler } from 'hono'
import { type ApiEnv, authenticateRequest, type Authenticator, type Scope } from './api.ts'

/** Middleware of one route: the caller's key must have the scope. For paths whose methods need different ones. */
export function scoped(authenticator: Authenticator, scope: Scope): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    c.set('principal', authenticateRequest(authenticator, c.req.header('authorization'), scope))
    await next()
  }
}
