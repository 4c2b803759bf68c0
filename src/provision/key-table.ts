import { timingSafeEqual } from 'node:crypto'
import type { ApiKeyId, CustomerKey, QuotaKey, SubjectId, TenantId } from '../id/ids.ts'
import { currentStatuses, figuresOf, judge, type QuotaFigures, type Refusal, refusal } from './decide.ts'
import { createRateLimiter } from './gcra.ts'
import { type Holder, holderIndex, holderOf } from './holder.ts'
import { hashKey, isWellFormedKey } from './key-format.ts'
import type { KeyState, KeyTopicDocument, QuotaStatus } from './key-state.ts'
import type { HolderDirectory, ProvisionMetrics } from './ports.ts'

const API_SCOPES = ['ingest', 'read', 'admin'] as const
type ApiScope = (typeof API_SCOPES)[number]

/** The shape that the API's authenticator answers with. */
export type KeyAuthentication =
  | {
      readonly kind: 'authenticated'
      readonly principal: {
        readonly tenant: TenantId
        readonly keyId: ApiKeyId
        readonly scopes: readonly ApiScope[]
      }
    }
  | { readonly kind: 'refused'; readonly status: 401 | 403; readonly code: string; readonly detail: string }

export interface VerifyRequest {
  /** Of the caller; a key of another tenant is unknown to it. */
  readonly tenant: TenantId
  readonly key: string
  readonly permission: string | null
}

export type Verification = {
  readonly keyId: ApiKeyId | null
  readonly name: string | null
  readonly customer: CustomerKey | null
  readonly subject: SubjectId | null
  readonly scopes: readonly string[]
  /** Every quota of the key that was evaluated in its current epoch. */
  readonly quotas: readonly QuotaFigures[]
} & (
  | { readonly valid: true; readonly requestsRemaining: number | null }
  | { readonly valid: false; readonly refusal: Refusal }
)

export interface KeyTable {
  /** Takes a state in unless what is held is as new. */
  apply(document: KeyTopicDocument): void
  authenticate(presented: string): KeyAuthentication
  /** The decision of the gate. A valid answer spends one request of the key's rate. */
  verify(request: VerifyRequest): Verification
  /** The same decision on a state that is known, without presenting its key and without spending anything. */
  explain(state: KeyState, permission: string | null): Verification
  statuses(): Iterable<QuotaStatus>
  size(): number
}

export interface KeyTableDeps {
  readonly holders: Pick<HolderDirectory, 'now'>
  /** Milliseconds of a clock that never jumps, for rates. */
  readonly monotonicMs: () => number
  readonly metrics: Pick<ProvisionMetrics, 'decided' | 'keysHeld' | 'applied'>
}

/**
 * All keys and where their holders stand, in memory, by the hash of the key: a decision asks nobody, and a key that
 * is not here does not exist.
 */
export function createKeyTable({ holders, monotonicMs, metrics }: KeyTableDeps): KeyTable {
  const byHash = new Map<string, KeyState>()
  const byHolder = new Map<string, Map<QuotaKey, QuotaStatus>>()
  const rates = createRateLimiter()
  let sweepAtMs = monotonicMs() + RATE_SWEEP_MS

  const find = (presented: string): KeyState | Refusal => {
    if (!isWellFormedKey(presented)) {
      return refusal('malformedKey', 401, 'This is not an API key: its form or its checksum is wrong.')
    }
    const hash = hashKey(presented)
    const state = byHash.get(hash)
    // The map compared the hashes; comparing again in constant time costs little and leaks nothing.
    if (state === undefined || !timingSafeEqual(Buffer.from(state.hash), Buffer.from(hash))) {
      return refusal('unknownKey', 401, 'There is no such API key.')
    }
    return state
  }

  const statusesOf = (state: KeyState, holder: Holder | null): readonly QuotaStatus[] => {
    if (holder === null || state.quotas.length === 0) return []
    const held = byHolder.get(holderIndex(state.tenant, holder))
    return state.quotas.flatMap((quotaKey) => held?.get(quotaKey) ?? [])
  }

  /** The key's own rate, and that of every quota that throttles its holder. */
  const spendRates = (
    state: KeyState,
    statuses: readonly QuotaStatus[],
  ): { readonly remaining: number | null } | Refusal => {
    const nowMs = monotonicMs()
    if (nowMs >= sweepAtMs) {
      rates.sweep(nowMs)
      sweepAtMs = nowMs + RATE_SWEEP_MS
    }
    let remaining: number | null = null
    for (const { bucket, rate, name } of ratesOf(state, statuses)) {
      const outcome = rates.take(bucket, rate, nowMs)
      if (outcome.kind === 'exceeds') {
        const detail = `${name} allows ${rate.requestsPerSecond} requests a second in bursts of ${rate.burst}.`
        return {
          ...refusal('rateLimited', 429, detail),
          retryAfterSeconds: Math.max(1, Math.ceil(outcome.retryAfterMs / 1000)),
        }
      }
      remaining = Math.min(remaining ?? outcome.remaining, outcome.remaining)
    }
    return { remaining }
  }

  const decide = (
    state: KeyState,
    permission: string | null,
    spend: (statuses: readonly QuotaStatus[]) => { readonly remaining: number | null } | Refusal,
  ): Verification => {
    const holder = holderOf(state)
    const now = holders.now(state.tenant, holder)
    const statuses = currentStatuses(statusesOf(state, holder), now)
    const judgement = judge({ state, statuses, now, permission })
    const outcome = judgement.kind === 'refused' ? judgement : spend(statuses)
    const about = {
      keyId: state.keyId,
      name: state.name,
      customer: state.customer,
      subject: state.subject,
      scopes: state.scopes,
      quotas: statuses.map(figuresOf),
    }
    return 'kind' in outcome
      ? { ...about, valid: false, refusal: outcome }
      : { ...about, valid: true, requestsRemaining: outcome.remaining }
  }

  return {
    apply(document) {
      if (document.kind === 'key') {
        const held = byHash.get(document.hash)
        if (held !== undefined && held.version >= document.version) {
          metrics.applied('older')
          return
        }
        byHash.set(document.hash, document)
        metrics.keysHeld(byHash.size)
      } else {
        const index = holderIndex(document.tenant, document.holder)
        const held = byHolder.get(index) ?? new Map<QuotaKey, QuotaStatus>()
        if ((held.get(document.quotaKey)?.version ?? 0) >= document.version) {
          metrics.applied('older')
          return
        }
        byHolder.set(index, held.set(document.quotaKey, document))
      }
      metrics.applied('applied')
    },

    authenticate(presented) {
      const state = find(presented)
      if (state.kind === 'refused') {
        metrics.decided(state.code)
        return { kind: 'refused', status: 401, code: state.code, detail: state.detail }
      }
      const holder = holderOf(state)
      const now = holders.now(state.tenant, holder)
      // A quota that blocks requests does not keep usage from being told: only a suspension shuts the API.
      const statuses = statusesOf(state, holder).filter((status) => status.phase === 'suspended')
      const judgement = judge({ state, statuses, now, permission: null })
      if (judgement.kind === 'refused') {
        metrics.decided(judgement.code)
        return judgement.status === 401
          ? { kind: 'refused', status: 401, code: judgement.code, detail: judgement.detail }
          : { kind: 'refused', status: 403, code: 'keySuspended', detail: judgement.detail }
      }
      metrics.decided('valid')
      const scopes = API_SCOPES.filter((scope) => state.scopes.includes(scope))
      return { kind: 'authenticated', principal: { tenant: state.tenant, keyId: state.keyId, scopes } }
    },

    verify({ tenant, key, permission }) {
      const found = find(key)
      const state =
        found.kind === 'key' && found.tenant !== tenant
          ? refusal('unknownKey', 401, 'There is no such API key.')
          : found
      const verification: Verification =
        state.kind === 'refused'
          ? { ...NOBODY, valid: false, refusal: state }
          : decide(state, permission, (statuses) => spendRates(state, statuses))
      metrics.decided(verification.valid ? 'valid' : verification.refusal.code)
      return verification
    },

    explain: (state, permission) => decide(state, permission, () => ({ remaining: null })),

    *statuses() {
      for (const held of byHolder.values()) yield* held.values()
    },
    size: () => byHash.size,
  }
}

const RATE_SWEEP_MS = 60_000

const NOBODY = { keyId: null, name: null, customer: null, subject: null, scopes: [], quotas: [] } as const

function* ratesOf(state: KeyState, statuses: readonly QuotaStatus[]) {
  if (state.rate !== null) yield { bucket: state.keyId, rate: state.rate, name: `The key ${state.hint}` }
  for (const status of statuses) {
    const requestsPerSecond = status.throttleRequestsPerSecond
    if (requestsPerSecond === null) continue
    const rate = { requestsPerSecond, burst: Math.max(1, Math.ceil(requestsPerSecond)) }
    const bucket = `${holderIndex(status.tenant, status.holder)}\0${status.quotaKey}`
    yield { bucket, rate, name: `The quota "${status.quotaKey}" throttles: it` }
  }
}
