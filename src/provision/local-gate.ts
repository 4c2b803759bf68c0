import type { QuotaKey, TenantId } from '../id/ids.ts'
import { refusal } from './decide.ts'
import type { Gatekeeper } from './gatekeeper.ts'
import { answerOf, type AnswerOptions, type GateAnswer } from './http-answer.ts'
import type { Verification } from './key-table.ts'
import { parsePermission, type PermissionQuery } from './permission.ts'

/** A request as a service tells it; the shape of the middleware's own (client/gate), which imports nothing of ours. */
export interface LocalGateRequest {
  readonly key: string | null
  readonly permission?: string | null
  readonly from?: string | null
  readonly cost?: Readonly<Record<string, bigint>>
}

export interface LocalGateOutcome {
  readonly isAllowed: boolean
  readonly caller: {
    readonly keyId: string
    readonly customer: string | null
    readonly subject: string | null
    readonly environment: 'live' | 'test'
    readonly scopes: readonly string[]
  } | null
  readonly answer: GateAnswer
  settle(used?: Readonly<Record<string, bigint>>): Promise<void>
  release(): Promise<void>
}

/** The gate of this process behind the interface that middleware, sidecar and remote clients share. */
export interface LocalGate {
  /** @throws RangeError for a permission that is no query, which is the service's own text */
  check(request: LocalGateRequest): Promise<LocalGateOutcome>
}

export interface LocalGateOptions {
  readonly gatekeeper: Pick<Gatekeeper, 'check'>
  /** Whose keys are let in; null: of every tenant. */
  readonly tenant: TenantId | null
  readonly answer?: AnswerOptions
}

export function createLocalGate({ gatekeeper, tenant, answer: options }: LocalGateOptions): LocalGate {
  const compiled = new Map<string, PermissionQuery>()
  const permissionOf = (text: string): PermissionQuery => {
    let query = compiled.get(text)
    if (query === undefined) {
      const parsed = parsePermission(text)
      if (parsed.kind === 'fault') throw new RangeError(parsed.detail)
      query = parsed.query
      if (compiled.size >= COMPILED_MAX) compiled.clear()
      compiled.set(text, query)
    }
    return query
  }
  return {
    async check({ key, permission = null, from = null, cost = {} }) {
      if (key === null)
        return { ...NOTHING, isAllowed: false, caller: null, answer: answerOf(MISSING, options) }
      const { verification, reserved } = await gatekeeper.check({
        tenant,
        key,
        permission: permission === null ? null : permissionOf(permission),
        from,
        cost: new Map(Object.entries(cost).map(([quota, units]) => [quota as QuotaKey, units])),
      })
      const { keyId, customer, subject, environment, scopes } = verification
      const caller =
        keyId === null || environment === null ? null : { keyId, customer, subject, environment, scopes }
      const answer = answerOf(verification, options)
      if (reserved === null) return { ...NOTHING, isAllowed: verification.valid, caller, answer }
      return {
        isAllowed: true,
        caller,
        answer,
        settle: async (used) =>
          reserved.settle(used === undefined ? undefined : new Map(Object.entries(used))),
        release: async () => reserved.release(),
      }
    },
  }
}

/** Texts of permissions in a service are few; more than these come from somewhere they should not. */
const COMPILED_MAX = 1_000

const NOTHING = {
  settle: (): Promise<void> => Promise.resolve(),
  release: (): Promise<void> => Promise.resolve(),
}

const MISSING: Verification = {
  keyId: null,
  name: null,
  customer: null,
  subject: null,
  environment: null,
  scopes: [],
  quotas: [],
  rates: [],
  decidedAt: null,
  valid: false,
  refusal: refusal('missingKey', 401, 'Send an API key as "Authorization: Bearer …".'),
}
