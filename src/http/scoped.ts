import type { MiddlewareHandler } from 'hono'
import { type ApiEnv, authenticateRequest, type Authenticator, type Scope } from './api.ts'
import { readJsonBody } from './json-body.ts'

const scopes = new WeakMap<object, Scope>()

/**
 * Middleware of one route of the control plane: the caller's key must have the scope, and then a body must be JSON.
 * In this order, so that nobody without a key makes us hold its bytes.
 */
export function scoped(authenticator: Authenticator, scope: Scope): MiddlewareHandler<ApiEnv> {
  const middleware: MiddlewareHandler<ApiEnv> = async (c, next) => {
    c.set('principal', authenticateRequest(authenticator, c.req.header('authorization'), scope))
    await readJsonBody(c)
    const repeats = c.get('repeats')
    return repeats === undefined ? next() : repeats(c, next)
  }
  scopes.set(middleware, scope)
  return middleware
}

/** The scope that a middleware asks for, for the description of its route; undefined for any other. */
export function scopeOf(middleware: object): Scope | undefined {
  return scopes.get(middleware)
}
