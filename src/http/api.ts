import { OpenAPIHono } from '@hono/zod-openapi'
import type { Context, Next } from 'hono'
import type { ApiKeyId, TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import { type Fault, ProblemError, problemResponse } from './problem.ts'

export const SCOPES = ['ingest', 'read', 'admin'] as const
/** `admin` includes `read` and `ingest`. */
export type Scope = (typeof SCOPES)[number]

/** Who calls. The tenant comes from the key and from nowhere else. */
export interface Principal {
  readonly tenant: TenantId
  readonly keyId: ApiKeyId
  readonly scopes: readonly Scope[]
}

export type Authentication =
  | { readonly kind: 'authenticated'; readonly principal: Principal }
  | {
      readonly kind: 'refused'
      readonly status: 401 | 403
      readonly code: string
      readonly detail: string
    }

/** Answers from memory: it stands on the path of every event. */
export interface Authenticator {
  authenticate(presentedKey: string): Authentication
}

/** Runs what follows once for its Idempotency-Key, or answers as it was answered before. */
export type Repeats = (c: Context<ApiEnv>, next: Next) => Promise<Response | undefined>

/** The same for every attempt to run one command. */
export interface Repeatable {
  readonly firstAt: Instant
  readonly seed: Uint8Array
}

export interface ApiEnv {
  Variables: {
    principal: Principal
    requestId: string
    /** The body of a control-plane request; undefined where there is none. */
    json: unknown
    /** Set where the request has an Idempotency-Key. */
    repeats?: Repeats
    /** Set while such a request runs. */
    repeatable?: Repeatable
  }
}
export type Api = OpenAPIHono<ApiEnv>

/** A router whose schema failures are problems with JSON pointers. Every route module registers on one. */
export function createRouter(): Api {
  return new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (result.success) return
      const errors: Fault[] = result.error.issues.map((issue) => ({
        pointer:
          '/' + issue.path.map((part) => String(part).replaceAll('~', '~0').replaceAll('/', '~1')).join('/'),
        detail: issue.message,
      }))
      throw new ProblemError({
        status: 400,
        code: 'invalidRequest',
        title: 'The request is not valid',
        detail: errors.map((fault) => `${fault.pointer}: ${fault.detail}`).join('; '),
        errors,
      })
    },
  })
}

/** Checks the bearer key and the scope; `admin` may do everything. Answers 401 or 403 as problems. */
export function authenticateRequest(
  authenticator: Authenticator,
  authorization: string | undefined,
  scope: Scope,
): Principal {
  const presented = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
  if (presented === undefined) {
    throw new ProblemError({
      status: 401,
      code: 'missingKey',
      title: 'No API key',
      detail: 'Send an API key as "Authorization: Bearer tm_live_…".',
      headers: { 'www-authenticate': 'Bearer realm="api"' },
    })
  }
  const outcome = authenticator.authenticate(presented)
  if (outcome.kind === 'refused') {
    throw new ProblemError({
      status: outcome.status,
      code: outcome.code,
      title: outcome.status === 401 ? 'The API key is not valid' : 'The API key may not be used',
      detail: outcome.detail,
      ...(outcome.status === 401
        ? { headers: { 'www-authenticate': 'Bearer realm="api", error="invalid_token"' } }
        : {}),
    })
  }
  const { scopes } = outcome.principal
  if (!scopes.includes(scope) && !scopes.includes('admin')) {
    throw new ProblemError({
      status: 403,
      code: 'insufficientScope',
      title: 'The API key lacks a scope',
      detail: `This route needs the scope "${scope}"; the key has ${scopes.map((s) => `"${s}"`).join(', ') || 'none'}.`,
    })
  }
  return outcome.principal
}

/** Puts a principal with the scope in front of every route below `path`. */
export function requireScope(api: Api, path: string, authenticator: Authenticator, scope: Scope): void {
  api.use(path, async (c, next) => {
    c.set('principal', authenticateRequest(authenticator, c.req.header('authorization'), scope))
    await next()
  })
}

export interface ApiShell {
  readonly newRequestId: () => string
  /** Told of every fault of ours, before the answer 500 goes out. */
  readonly onFault: (error: unknown, requestId: string) => void
}

/** The outermost router: request ids, problems for refusals, 404s and faults. Route modules are mounted on it. */
export function createApi({ newRequestId, onFault }: ApiShell): Api {
  const api = createRouter()
  api.use('*', async (c, next) => {
    const requestId = newRequestId()
    c.set('requestId', requestId)
    await next()
    c.header('x-request-id', requestId)
  })
  api.notFound((c) =>
    problemResponse(
      {
        status: 404,
        code: 'unknownRoute',
        title: 'No such route',
        detail: `There is no ${c.req.method} ${c.req.path}. The routes stand in /openapi.json.`,
      },
      c.get('requestId'),
    ),
  )
  api.onError((error, c) => {
    const requestId = c.get('requestId')
    if (error instanceof ProblemError) return problemResponse(error.problem, requestId)
    if (error instanceof SyntaxError || error.message.startsWith('Malformed JSON')) {
      return problemResponse(
        { status: 400, code: 'malformedJson', title: 'The body is not JSON', detail: error.message },
        requestId,
      )
    }
    onFault(error, requestId)
    return problemResponse(
      {
        status: 500,
        code: 'internal',
        title: 'A fault of ours',
        detail: `The request failed and was logged as ${requestId}. Trying again with the same ids or Idempotency-Key is safe.`,
      },
      requestId,
    )
  })
  return api
}
