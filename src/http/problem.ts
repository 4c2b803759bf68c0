import type { ContentfulStatusCode } from 'hono/utils/http-status'

/** One fault of a request's body, by JSON pointer. */
export interface Fault {
  readonly pointer: string
  readonly detail: string
}

/** RFC 9457 problem details, as every error of the API is answered. */
export interface Problem {
  readonly status: ContentfulStatusCode
  /** Stable, camelCase; what programs act on. */
  readonly code: string
  readonly title: string
  /** What is wrong and what to do, for a person. */
  readonly detail: string
  readonly errors?: readonly Fault[]
  /** Seconds after which trying again can help; absent where waiting does not help. */
  readonly retryAfterSeconds?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Further members of the body. */
  readonly extra?: Readonly<Record<string, unknown>>
}

/** Thrown by routes to answer with a problem. For expected refusals only; faults of ours become a 500 in `api.ts`. */
export class ProblemError extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.detail)
    this.name = 'ProblemError'
    this.problem = problem
  }
}

/** The header that names a request; a problem says the same as `instance`. */
export const REQUEST_ID = 'x-request-id'

export function problemResponse(problem: Problem, instance: string): Response {
  const headers = new Headers({
    'content-type': 'application/problem+json',
    [REQUEST_ID]: instance,
    ...problem.headers,
  })
  if (problem.retryAfterSeconds !== undefined) headers.set('retry-after', String(problem.retryAfterSeconds))
  const body = {
    type: `urn:tallyman:problem:${problem.code}`,
    title: problem.title,
    status: problem.status,
    detail: problem.detail,
    instance,
    code: problem.code,
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
    ...problem.extra,
  }
  return new Response(JSON.stringify(body), { status: problem.status, headers })
}
