import { OpenAPIHono } from '@hono/zod-openapi'
import type { Context, Next } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { routePath } from 'hono/route'
import type { ApiKeyId, TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import { type Fault, type Problem, ProblemError, problemResponse, REQUEST_ID } from './problem.ts'
import { withoutRoute } from './without-route.ts'

/** `admin` includes `read` and `ingest`. */
export type Scope = 'ingest' | 'read' | 'admin'

/** Who calls. The tenant comes from the key and from nowhere else. */
export interface Principal {
  readonly tenant: TenantId
  readonly keyId: ApiKeyId
  readonly scopes: readonly Scope[]
}

type Authentication =
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
type Repeats = (c: Context<ApiEnv>, next: Next) => Promise<Response | undefined>

/** The same for every attempt to run one command. */
interface Repeatable {
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
    defaultHook: (result, c) => {
      if (result.success) return
      const errors = result.error.issues.flatMap((issue): Fault[] =>
        issue.code === 'unrecognized_keys'
          ? issue.keys.map((key) => ({ pointer: pointerOf([...issue.path, key]), detail: issue.message }))
          : [{ pointer: pointerOf(issue.path), detail: issue.message }],
      )
      const told =
        result.target === 'query' ? errors.map((fault) => saidOnce(fault, c.req.queries())) : errors
      throw new ProblemError({
        status: 400,
        code: 'invalidRequest',
        title: 'The request is not valid',
        detail: told.map((fault) => `${fault.pointer}: ${fault.detail}`).join('; '),
        errors: told,
      })
    },
  })
}

function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** Which of two values is meant is not for us to choose. */
function saidOnce(fault: Fault, queries: Readonly<Record<string, readonly string[]>>): Fault {
  const given = queries[fault.pointer.slice(1)]
  return given !== undefined && given.length > 1 ? { ...fault, detail: 'is given more than once' } : fault
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

/** Told of every answer. */
export interface HttpObserver {
  /** `route` is the pattern, never the path: ids in labels would grow without bound. */
  answered(request: {
    readonly method: string
    readonly route: string
    readonly status: number
    readonly seconds: number
  }): void
}

export interface ApiShell {
  readonly newRequestId: () => string
  /** Told of every fault of ours, before the answer 500 goes out. */
  readonly onFault: (error: unknown, requestId: string) => void
  readonly metrics?: HttpObserver
}

/** The label of what no route is there for. */
const NO_ROUTE = 'none'

/** The outermost router: request ids, measures, problems for refusals, 404s, 405s and faults. Route modules are mounted on it. */
export function createApi({ newRequestId, onFault, metrics }: ApiShell): Api {
  const api = createRouter()
  api.use('*', async (c, next) => {
    const startedMs = performance.now()
    const requestId = newRequestId()
    c.set('requestId', requestId)
    // Set before the answer is made: afterwards it would have to be made a second time.
    c.header(REQUEST_ID, requestId)
    await next()
    if (!c.res.headers.has(REQUEST_ID)) c.header(REQUEST_ID, requestId)
    if (metrics === undefined) return
    const route = routePath(c as Context<ApiEnv>)
    metrics.answered({
      method: c.req.method,
      route: route === '/*' ? NO_ROUTE : route,
      status: c.res.status,
      seconds: (performance.now() - startedMs) / 1000,
    })
  })
  api.notFound((c) =>
    withoutRoute(api.router, {
      header: (name) => c.req.header(name),
      method: c.req.method,
      path: c.req.path,
      requestId: c.get('requestId'),
    }),
  )
  api.onError((error, c) => {
    const requestId = c.get('requestId')
    if (error instanceof ProblemError) return problemResponse(error.problem, requestId)
    if (error instanceof HTTPException) return problemResponse(libraryProblem(error), requestId)
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

/** What the router's own checks refuse. Bodies are checked before them, so that hardly anything is left for these. */
function libraryProblem(error: HTTPException): Problem {
  return error.status === 415
    ? {
        status: 415,
        code: 'unsupportedMediaType',
        title: 'The media type is not read',
        detail: error.message,
      }
    : { status: 400, code: 'malformedJson', title: 'The body is not JSON', detail: error.message }
}
