/** What a service says of a request to its gate. */
export interface GateRequest {
  /** The API key that the caller presented; null when it presented none. */
  readonly key: string | null
  /** `chat.write AND (model.small OR model.large)`; null: any valid key. */
  readonly permission?: string | null
  /** The caller's address, where it is known for certain. */
  readonly from?: string | null
  /** Quota → the most units that the request can use, as whole numbers. */
  readonly cost?: Readonly<Record<string, bigint>>
}

/** Who a key stands for. */
export interface Caller {
  readonly keyId: string
  readonly customer: string | null
  readonly subject: string | null
  readonly environment: 'live' | 'test'
  readonly scopes: readonly string[]
}

/** What to answer over HTTP: with `problem` as application/problem+json when the request is refused. */
export interface GateAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly problem: Readonly<Record<string, unknown>> | null
}

export interface GateOutcome {
  readonly isAllowed: boolean
  readonly caller: Caller | null
  readonly answer: GateAnswer
  /** Ends the request by the units that it used; without figures all that was reserved was. Once. */
  settle(used?: Readonly<Record<string, bigint>>): Promise<void>
  /** Ends it with nothing used. Once. */
  release(): Promise<void>
}

/** Decides in this process, or asks one that does. */
export interface Gate {
  check(request: GateRequest): Promise<GateOutcome>
}

/** What a middleware must know beside the gate. `Request` is the framework's own. */
export interface GuardOptions<Request> {
  readonly gate: Gate
  readonly permission?: string | ((request: Request) => string | null)
  readonly cost?: (request: Request) => Readonly<Record<string, bigint>>
  /** The caller's address: behind a proxy only the service knows which header to believe. */
  readonly from?: (request: Request) => string | null
}

/** The key of `Authorization: Bearer …` or `X-API-Key`; null when there is neither. */
function presentedKey(header: (name: string) => string | null | undefined): string | null {
  const bearer = /^Bearer +(\S+) *$/i.exec(header('authorization') ?? '')?.[1]
  return bearer ?? header('x-api-key') ?? null
}

/** The request that a guard asks about. */
export function guarded<Request>(
  { permission, cost, from }: GuardOptions<Request>,
  request: Request,
  header: (name: string) => string | null | undefined,
): GateRequest {
  return {
    key: presentedKey(header),
    permission: typeof permission === 'function' ? permission(request) : (permission ?? null),
    from: from?.(request) ?? null,
    cost: cost?.(request) ?? {},
  }
}

/**
 * How a request ends whose handler did not say what it used: a fault of the service costs nothing, everything else
 * what was reserved. Never free by being forgotten.
 */
export function endUnsettled(outcome: GateOutcome, status: number): Promise<void> {
  return status >= 500 ? outcome.release() : outcome.settle()
}
