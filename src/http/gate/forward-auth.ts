import type { AnswerOptions } from '../../provision/http-answer.ts'
import type { LocalGate, LocalGateOutcome } from '../../provision/local-gate.ts'
import {
  createRequirementReader,
  questionOf,
  type RequestHeaders,
  type RequirementOutcome,
  textOf,
} from './question.ts'
import { asciiJson, callerHeaders } from './told.ts'
import { unavailable } from './unavailable.ts'

/** A request of a proxy that asks before it forwards. */
export interface ProxyRequest {
  /** Path and query. */
  readonly url: string
  readonly headers: RequestHeaders
}

export interface ProxyAnswer {
  /** The pattern of the route, for measures. */
  readonly route: string
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface ForwardAuthDeps {
  readonly gate: LocalGate
  /** The header that carries keys, in small letters; null: `Authorization: Bearer`, else `X-Api-Key`. */
  readonly keyHeader: string | null
  readonly newRequestId: () => string
  /** Told of a fault of ours, which is answered 503. */
  readonly onFault: (error: unknown, requestId: string) => void
  readonly answer?: AnswerOptions
}

export const GATE_PATH = '/v1/gate/'

/**
 * Answers proxies that ask before they forward:
 * - `/v1/gate/authorize` with the status itself (Caddy, Traefik, APISIX, HAProxy);
 * - `/v1/gate/auth-request` for nginx, whose auth_request lets only 2xx, 401 and 403 through: a refusal is 401 or 403,
 *   and `X-Gate-Status` and `X-Gate-Problem` say what to make of it;
 * - `/v1/gate/ext-authz/…` for Envoy's ext_authz over HTTP, which appends path and query of the caller: what the
 *   route needs stands in the header `X-Gate-Route`, which Envoy sets over whatever the caller sent.
 * Null for any other path.
 */
export function createForwardAuth(
  deps: ForwardAuthDeps,
): (request: ProxyRequest) => Promise<ProxyAnswer> | null {
  const { gate, keyHeader, newRequestId, onFault } = deps
  const read = createRequirementReader()

  const answer = async (
    route: string,
    { headers }: ProxyRequest,
    needed: RequirementOutcome,
    tell: (outcome: LocalGateOutcome) => Omit<ProxyAnswer, 'route'>,
  ): Promise<ProxyAnswer> => {
    const requestId = requestIdOf(headers) ?? newRequestId()
    if (needed.kind === 'fault') return { route, ...misconfigured(needed.detail, requestId) }
    let outcome: LocalGateOutcome
    try {
      outcome = await gate.check(questionOf(headers, needed.requirement, keyHeader))
      // A proxy tells nobody how the request went, so what is announced is what is used.
      if (outcome.isAllowed) await outcome.settle()
    } catch (error) {
      onFault(error, requestId)
      outcome = unavailable(deps.answer)
    }
    const told = tell(outcome)
    return { route, ...told, headers: { ...told.headers, 'x-request-id': requestId } }
  }

  return (request) => {
    const queryAt = request.url.indexOf('?')
    const path = queryAt === -1 ? request.url : request.url.slice(0, queryAt)
    const query = queryAt === -1 ? '' : request.url.slice(queryAt + 1)
    if (path === AUTHORIZE) return answer(AUTHORIZE, request, read(query), plainly)
    if (path === AUTH_REQUEST) return answer(AUTH_REQUEST, request, read(query), forNginx)
    if (path === EXT_AUTHZ || path.startsWith(`${EXT_AUTHZ}/`)) {
      const needed = read(textOf(request.headers, 'x-gate-route') ?? '')
      return answer(`${EXT_AUTHZ}/*`, request, needed, plainly)
    }
    return null
  }
}

const AUTHORIZE = `${GATE_PATH}authorize`
const AUTH_REQUEST = `${GATE_PATH}auth-request`
const EXT_AUTHZ = `${GATE_PATH}ext-authz`

function plainly(outcome: LocalGateOutcome): Omit<ProxyAnswer, 'route'> {
  const { status, headers, problem } = outcome.answer
  if (outcome.isAllowed) return { status: 200, headers: { ...headers, ...callerHeaders(outcome) }, body: '' }
  return { status, headers: { ...headers, ...PROBLEM }, body: JSON.stringify(problem) }
}

function forNginx(outcome: LocalGateOutcome): Omit<ProxyAnswer, 'route'> {
  const { status, headers, problem } = outcome.answer
  if (outcome.isAllowed) return plainly(outcome)
  const told = { ...headers, 'x-gate-status': String(status), 'x-gate-problem': asciiJson(problem) }
  return { status: status === 401 ? 401 : 403, headers: told, body: '' }
}

const PROBLEM = { 'content-type': 'application/problem+json' }

/** Neither the caller's doing nor a passing trouble: whoever configures the proxy has to mend it. */
function misconfigured(detail: string, requestId: string): Omit<ProxyAnswer, 'route'> {
  const problem = {
    type: 'urn:tallyman:problem:invalidGateRoute',
    title: 'The proxy asks for what there is not',
    status: 500,
    detail,
    code: 'invalidGateRoute',
  }
  return { status: 500, headers: { ...PROBLEM, 'x-request-id': requestId }, body: JSON.stringify(problem) }
}

/** An id that the proxy gave the request already; anything that is none is passed over. */
function requestIdOf(headers: RequestHeaders): string | null {
  const told = textOf(headers, 'x-request-id')
  return told !== null && /^[\w.:-]{1,128}$/.test(told) ? told : null
}
