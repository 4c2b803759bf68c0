import type { Caller, Gate, GateAnswer, GateOutcome, GateRequest } from './gate.ts'

export interface RemoteGateOptions {
  /** `http://127.0.0.1:8888` */
  readonly url: string
  /** A key with the scope `read`. */
  readonly apiKey: string
  readonly timeoutMs?: number
  /** What to do when the gate does not answer: refuse with 503, or let in. Never 429 or 402: that is not the caller's doing. */
  readonly onUnavailable?: 'closed' | 'open'
  readonly fetch?: typeof fetch
  /** Told of every failure to ask or to settle. */
  readonly onFault?: (error: unknown) => void
}

interface Verification {
  readonly valid: boolean
  readonly status: number
  readonly keyId: string | null
  readonly customer: string | null
  readonly subject: string | null
  readonly environment: 'live' | 'test' | null
  readonly scopes: readonly string[]
  readonly headers: Readonly<Record<string, string>>
  readonly problem: Readonly<Record<string, unknown>> | null
  readonly id?: string | null
}

const TIMEOUT_MS = 1_000
const RETRY_AFTER_SECONDS = 2
const nothing = (): Promise<void> => Promise.resolve()

/** A gate that asks a server: one round trip a request, two where it costs units. */
export function createRemoteGate(options: RemoteGateOptions): Gate {
  const { url, apiKey, timeoutMs = TIMEOUT_MS, onUnavailable = 'closed', onFault = () => undefined } = options
  const ask = options.fetch ?? fetch

  const post = async (path: string, body: unknown): Promise<Verification> => {
    const response = await ask(new URL(path, url), {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as Verification
  }
  const end = (id: string, how: string, body: unknown): Promise<void> =>
    post(`/v1/reservations/${encodeURIComponent(id)}/${how}`, body).then(() => undefined, onFault)

  return {
    async check({ key, permission = null, from = null, cost = {} }: GateRequest): Promise<GateOutcome> {
      if (key === null) return refused(MISSING_KEY)
      const units = Object.entries(cost).map(([quota, count]) => [quota, String(count)] as const)
      const body = {
        key,
        permission,
        ip: from,
        ...(units.length === 0 ? {} : { cost: Object.fromEntries(units) }),
      }
      let found: Verification
      try {
        found = await post(units.length === 0 ? '/v1/keys/verify' : '/v1/reservations', body)
      } catch (error) {
        onFault(error)
        return onUnavailable === 'open'
          ? allowed(null, { status: 200, headers: {}, problem: null })
          : refused(UNAVAILABLE)
      }
      const answer = { status: found.status, headers: found.headers, problem: found.problem }
      if (!found.valid) return { ...refused(answer), caller: callerOf(found) }
      const { id } = found
      if (id == null) return allowed(callerOf(found), answer)
      let ended: Promise<void> | null = null
      return {
        ...allowed(callerOf(found), answer),
        settle: (used) => (ended ??= end(id, 'commit', used === undefined ? {} : { used: textOf(used) })),
        release: () => (ended ??= end(id, 'release', {})),
      }
    },
  }
}

function allowed(caller: Caller | null, answer: GateAnswer): GateOutcome {
  return { isAllowed: true, caller, answer, settle: nothing, release: nothing }
}

function refused(answer: GateAnswer): GateOutcome {
  return { isAllowed: false, caller: null, answer, settle: nothing, release: nothing }
}

function callerOf({ keyId, customer, subject, environment, scopes }: Verification): Caller | null {
  return keyId === null || environment === null ? null : { keyId, customer, subject, environment, scopes }
}

function textOf(used: Readonly<Record<string, bigint>>): Record<string, string> {
  return Object.fromEntries(Object.entries(used).map(([quota, units]) => [quota, String(units)]))
}

const MISSING_KEY: GateAnswer = {
  status: 401,
  headers: { 'www-authenticate': 'Bearer realm="api"', 'cache-control': 'no-store' },
  problem: {
    type: 'urn:tallyman:problem:invalid-key',
    title: 'No API key',
    status: 401,
    detail: 'Send an API key as "Authorization: Bearer …".',
    code: 'missingKey',
  },
}

const UNAVAILABLE: GateAnswer = {
  status: 503,
  headers: { 'retry-after': String(RETRY_AFTER_SECONDS), 'cache-control': 'no-store' },
  problem: {
    type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
    title: 'The gate cannot decide',
    status: 503,
    detail: 'API keys cannot be checked at the moment. This is no fault of yours; try again.',
    code: 'unavailable',
  },
}
