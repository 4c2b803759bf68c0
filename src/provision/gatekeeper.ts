import type { QuotaKey, TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import { type Refusal, refusal, secondsUntil } from './decide.ts'
import type { Admission, Cost, Enforcer, Reserved } from './enforcer.ts'
import { holderOf } from './holder.ts'
import type { HeldKey } from './key-record.ts'
import { type KeyTable, type Verification, verificationOf, type VerifyRequest } from './key-table.ts'
import { figuresOfLeased } from './leased-quotas.ts'
import { type AccountName, figuresOfAccount } from './ledger/account.ts'
import type { QuotaAuthority } from './ledger/authority.ts'

export interface CheckRequest extends VerifyRequest {
  /** Quota → units that this request uses, or may use at most. */
  readonly cost: ReadonlyMap<QuotaKey, bigint>
}

/** A decision, and where it let something in: the units that were taken for it. */
export interface Checked {
  readonly verification: Verification
  readonly reserved: Reserved | null
}

export interface Gatekeeper {
  /** The whole decision: key, suspensions, permissions, rates, and the units of leased quotas, all or none. */
  check(request: CheckRequest): Promise<Checked>
  /** The quotas of this mapping that the key does not carry. */
  foreignQuotas(request: CheckRequest): readonly QuotaKey[]
}

export interface GatekeeperDeps {
  readonly table: Pick<KeyTable, 'decide' | 'find'>
  readonly enforcer: Pick<Enforcer, 'admit'>
  readonly authority: Pick<QuotaAuthority, 'account'>
  /** Between 0 and 1: spreads the clients that are told to come back. */
  readonly random: () => number
}

/** Where a request costs units, the gate asks the enforcer after everything that costs nothing has let it pass. */
export function createGatekeeper({ table, enforcer, authority, random }: GatekeeperDeps): Gatekeeper {
  const costsOf = (key: HeldKey, cost: CheckRequest['cost']): readonly Cost[] =>
    [...cost].flatMap(([quotaKey, units]) => {
      const account = accountOf(key, quotaKey)
      // An observed quota has no account: it is measured by what is told of usage, not by what is announced.
      return account === null || units === 0n || authority.account(account) === null
        ? []
        : [{ account, units }]
    })

  return {
    async check(request) {
      const decided = table.decide(request)
      const { key } = decided
      const verification = verificationOf(decided)
      if (key === null) return { verification, reserved: null }
      const withBooks = { ...verification, quotas: quotasOf(verification, key, authority) }
      if (!verification.valid) return { verification: withBooks, reserved: null }
      const admission = await enforcer.admit(costsOf(key, request.cost))
      const after = { ...verification, quotas: quotasOf(verification, key, authority) }
      if (admission.kind === 'admitted') return { verification: after, reserved: admission.reserved }
      const refused = refusalOf(admission, authority, decided.decidedAt, random)
      return { verification: { ...after, valid: false, refusal: refused }, reserved: null }
    },
    foreignQuotas({ key: presented, tenant, cost }) {
      const key = table.find(presented)
      if (key === null || (tenant !== null && key.tenant !== tenant)) return []
      return [...cost.keys()].filter((quotaKey) => !key.quotas.includes(quotaKey))
    },
  }
}

function accountOf(
  key: { readonly tenant: TenantId } & Pick<HeldKey, 'subject' | 'customer'>,
  quotaKey: QuotaKey,
): AccountName | null {
  const holder = holderOf(key)
  return holder === null ? null : { tenant: key.tenant, quotaKey, holder }
}

/** What is known of the key's quotas: observed ones by their status, leased ones by the books. */
function quotasOf(
  verification: Verification,
  key: HeldKey,
  authority: Pick<QuotaAuthority, 'account'>,
): Verification['quotas'] {
  const leased = key.quotas.flatMap((quotaKey) => {
    const name = accountOf(key, quotaKey)
    const account = name === null ? null : authority.account(name)
    return account === null ? [] : [figuresOfLeased(account)]
  })
  const observed = verification.quotas.filter(({ quota }) => !leased.some((one) => one.quota === quota))
  return [...observed, ...leased]
}

function refusalOf(
  { why, cost }: Extract<Admission, { kind: 'refused' }>,
  authority: Pick<QuotaAuthority, 'account'>,
  now: Instant | null,
  random: () => number,
): Refusal {
  const account = authority.account(cost.account)
  const name = cost.account.quotaKey
  if (why === 'unavailable' || account === null) {
    const detail = `The quota "${name}" cannot be checked at the moment. This is no fault of yours; try again.`
    return { ...refusal('unavailable', 503, detail), retryAfterSeconds: 1 + Math.floor(random() * 5) }
  }
  const quota = figuresOfLeased(account)
  const needed = String(cost.units)
  const { leased } = figuresOfAccount(account)
  if (why === 'inFlight') {
    const detail = `Of the quota "${name}" ${quota.remaining ?? ''} ${quota.unit} are left, and requests under way hold ${leased} of them; this one needs ${needed}.`
    const refused = refusal('inFlightBudget', 429, detail)
    return { ...refused, quota, needed, reserved: String(leased), retryAfterSeconds: 1 }
  }
  const spent = `${quota.used} of ${quota.limit ?? 'unlimited'} ${quota.unit} are used and this request needs ${needed}`
  if (quota.resetAt === null) {
    const detail = `The prepaid quota "${name}" does not cover this request: ${spent}. A top-up opens it again.`
    return { ...refusal('creditsExhausted', 402, detail), quota, needed }
  }
  const detail = `The quota "${name}" does not cover this request: ${spent}.`
  // A request that costs more than a whole period has is not helped by waiting for the next.
  const fits = account.terms.limit === null || cost.units <= account.terms.limit
  const wait = fits && now !== null ? secondsUntil(quota.resetAt, now) : null
  return { ...refusal('quotaExceeded', 429, detail), quota, needed, retryAfterSeconds: wait }
}
