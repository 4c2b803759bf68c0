import type { LocalGate, LocalGateOutcome, LocalGateRequest } from './local-gate.ts'

export interface ForwardAuthOptions {
  readonly gate: LocalGate
  /**
   * The address that the proxy says the request came from: the last of X-Forwarded-For, for everything before it the
   * caller itself may have written.
   */
  readonly trustForwardedFor: boolean
}

/**
 * A fetch handler for proxies that ask before they forward. `/forward-auth` answers with the status itself (Caddy,
 * Traefik, APISIX); `/auth-request` for nginx, whose auth_request lets only 2xx, 401 and 403 through and makes 500 of
 * everything else: there a refusal is 401 or 403, and `X-Gate-Status`, `X-Gate-Problem` and `X-Gate-Retry-After`
 * say what to make of it. The query names what the route needs: `?permission=chat.write&cost.calls=1`.
 */
export function createForwardAuth(options: ForwardAuthOptions): (request: Request) => Promise<Response> {
  return async (request) => {
    const url = new URL(request.url)
    const style = STYLES[url.pathname]
    if (style === undefined) return new Response(null, { status: 404 })
    const asked = requestOf(request.headers, url.searchParams, options)
    if (asked === null) return new Response('cost.<quota> must be a whole number', { status: 400 })
    const outcome = await options.gate.check(asked)
    // A proxy tells nobody how the request went, so what is announced is what is used.
    if (outcome.isAllowed) await outcome.settle()
    return style(outcome)
  }
}

const STYLES: Readonly<Record<string, ((outcome: LocalGateOutcome) => Response) | undefined>> = {
  '/forward-auth': (outcome) => {
    const { status, headers, problem } = outcome.answer
    if (outcome.isAllowed) return new Response(null, { status: 200, headers: allowHeaders(outcome) })
    return new Response(JSON.stringify(problem), {
      status,
      headers: { 'content-type': 'application/problem+json', ...headers },
    })
  },
  '/auth-request': (outcome) => {
    const { status, headers, problem } = outcome.answer
    if (outcome.isAllowed) return new Response(null, { status: 200, headers: allowHeaders(outcome) })
    const told: Record<string, string> = {
      ...headers,
      'x-gate-status': String(status),
      'x-gate-problem': asciiJson(problem),
    }
    const retryAfter = headers['retry-after']
    if (retryAfter !== undefined) told['x-gate-retry-after'] = retryAfter
    return new Response(null, { status: status === 401 ? 401 : 403, headers: told })
  },
}

/** Who calls, for the service behind the proxy, which must not believe these headers from anybody else. */
function allowHeaders({ caller, answer }: LocalGateOutcome): Record<string, string> {
  const headers: Record<string, string> = { ...answer.headers }
  if (caller === null) return headers
  headers['x-gate-key'] = caller.keyId
  if (caller.customer !== null) headers['x-gate-customer'] = encodeURIComponent(caller.customer)
  if (caller.subject !== null) headers['x-gate-subject'] = encodeURIComponent(caller.subject)
  headers['x-gate-environment'] = caller.environment
  return headers
}

function requestOf(
  headers: Headers,
  query: URLSearchParams,
  { trustForwardedFor }: ForwardAuthOptions,
): LocalGateRequest | null {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.get('authorization') ?? '')?.[1]
  const cost: Record<string, bigint> = {}
  for (const [name, value] of query) {
    if (!name.startsWith('cost.')) continue
    if (!/^\d{1,18}$/.test(value)) return null
    cost[name.slice('cost.'.length)] = BigInt(value)
  }
  const forwarded = headers.get('x-forwarded-for')?.split(',').at(-1)?.trim() ?? null
  return {
    key: bearer ?? headers.get('x-api-key'),
    permission: query.get('permission'),
    from: trustForwardedFor ? forwarded : null,
    cost,
  }
}

/** Headers carry ASCII; JSON can say everything else in it. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
