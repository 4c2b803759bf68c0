import type { LocalGateOutcome } from '../../provision/local-gate.ts'
import { checkOrUnavailable, misconfigured, requestIdOf, type Told } from './check.ts'
import type { GateDeps } from './gate-deps.ts'
import {
  createRequirementReader,
  questionOf,
  type RequestHeaders,
  type RequirementOutcome,
  textOf,
} from './question.ts'
import { asciiJson, callerHeaders } from './told.ts'

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
export function createForwardAuth(deps: GateDeps): (request: ProxyRequest) => Promise<ProxyAnswer> | null {
  const read = createRequirementReader()

  const answer = async (
    route: string,
    { headers }: ProxyRequest,
    needed: RequirementOutcome,
    tell: (outcome: LocalGateOutcome) => Told,
  ): Promise<ProxyAnswer> => {
    const requestId = requestIdOf(headers) ?? deps.newRequestId()
    const told =
      needed.kind === 'fault'
        ? withType(misconfigured(needed.detail))
        : tell(
            await checkOrUnavailable(
              deps,
              questionOf(headers, needed.requirement, deps.keyHeader),
              requestId,
            ),
          )
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

function plainly(outcome: LocalGateOutcome): Told {
  const { status, headers, problem } = outcome.answer
  if (outcome.isAllowed) return { status: 200, headers: { ...headers, ...callerHeaders(outcome) }, body: '' }
  return withType({ status, headers, body: JSON.stringify(problem) })
}

function forNginx(outcome: LocalGateOutcome): Told {
  const { status, headers, problem } = outcome.answer
  if (outcome.isAllowed) return plainly(outcome)
  const told = { ...headers, 'x-gate-status': String(status), 'x-gate-problem': asciiJson(problem) }
  return { status: status === 401 ? 401 : 403, headers: told, body: '' }
}

function withType({ status, headers, body }: Told): Told {
  return { status, headers: { ...headers, 'content-type': 'application/problem+json' }, body }
}
