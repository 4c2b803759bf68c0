import { hash } from 'node:crypto'
import type { ApiKeyId, CustomerKey, QuotaKey, SubjectId, TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import { createCompactKeys } from './compact-keys.ts'
import { currentStatuses, figuresOf, judge, type QuotaFigures, type Refusal, refusal } from './decide.ts'
import { type Freshness, STALE_MS_MAX } from './freshness.ts'
import { type Holder, holderIndex, holderOf } from './holder.ts'
import { type Environment, hasOurPrefix, isWellFormedKey, keyHint } from './key-format.ts'
import type { HeldKey } from './key-record.ts'
import type { KeyState, KeyTopicDocument, QuotaStatus } from './key-state.ts'
import type { PermissionQuery } from './permission.ts'
import type { HolderDirectory, ProvisionMetrics } from './ports.ts'
import { createRates, type RateFigures } from './rates.ts'

const API_SCOPES = ['ingest', 'read', 'admin'] as const
type ApiScope = (typeof API_SCOPES)[number]

/** The shape that the API's authenticator answers with. */
type KeyAuthentication =
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
  /** Of the caller; a key of another tenant is unknown to it. Null: the gate serves all tenants. */
  readonly tenant: TenantId | null
  readonly key: string
  readonly permission: PermissionQuery | null
  /** The address that the request came from, where it is known. */
  readonly from?: string | null
}

/** A decision as it is taken: no more than what it took to take it. */
export interface Decided {
  /** Null when the key is unknown. */
  readonly key: HeldKey | null
  /** Every quota of the key that was evaluated in its current epoch. */
  readonly statuses: readonly QuotaStatus[]
  /** By the key's clock; null when the key is unknown. */
  readonly decidedAt: Instant | null
  /** The rates that the request was measured by, as they stand after it. */
  readonly rates: readonly RateFigures[]
  /** Null when it may pass. */
  readonly refusal: Refusal | null
}

export type Verification = {
  readonly keyId: ApiKeyId | null
  readonly name: string | null
  readonly customer: CustomerKey | null
  readonly subject: SubjectId | null
  readonly scopes: readonly string[]
  /** Every quota of the key that was evaluated in its current epoch. */
  readonly quotas: readonly QuotaFigures[]
  readonly environment: Environment | null
  readonly decidedAt: Instant | null
  readonly rates: readonly RateFigures[]
} & (
  | { readonly valid: true; readonly requestsRemaining: number | null }
  | { readonly valid: false; readonly refusal: Refusal }
)

export interface KeyTable {
  /** Takes a state in unless what is held is as new. */
  apply(document: KeyTopicDocument): void
  authenticate(presented: string, from?: string | null): KeyAuthentication
  /** The decision of the gate, on the path of every request. A valid one spends one request of the key's rates. */
  decide(request: VerifyRequest): Decided
  /** The same with everything there is to tell. */
  verify(request: VerifyRequest): Verification
  /** The same decision on a state that is known, without presenting its key and without spending anything. */
  explain(state: KeyState, permission: PermissionQuery | null): Verification
  /** The key that was presented, whatever its condition; null when there is none. */
  find(presented: string): HeldKey | null
  statuses(): Iterable<QuotaStatus>
  size(): number
  /** Bytes that the keys take. */
  byteLength(): number
}

export interface KeyTableDeps {
  readonly holders: Pick<HolderDirectory, 'now'>
  /** Milliseconds of a clock that never jumps, for rates. */
  readonly monotonicMs: () => number
  readonly metrics: Pick<ProvisionMetrics, 'decided' | 'keysHeld' | 'applied'>
  /** How old what is known here may be; without it that is not asked, as in a single process. */
  readonly freshness?: Pick<Freshness, 'staleMs'>
  /** Told of every key that was let in. */
  readonly noteUse?: (key: HeldKey, now: Instant) => void
}

/**
 * All keys and where their holders stand, in memory, by the hash of the key: a decision asks nobody, and a key that
 * is not here does not exist.
 */
export function createKeyTable(deps: KeyTableDeps): KeyTable {
  const { holders, monotonicMs, metrics, freshness, noteUse } = deps
  const keys = createCompactKeys()
  const byHolder = new Map<string, Map<QuotaKey, QuotaStatus>>()
  const rates = createRates(monotonicMs)

  const find = (presented: string): HeldKey | Refusal => {
    const wellFormed = isWellFormedKey(presented)
    // A garbled key of our own form is told apart without hashing; one that was imported may look like anything.
    if (!wellFormed && (hasOurPrefix(presented) || presented.length > KEY_CHARS_MAX)) return MALFORMED
    return keys.find(hash('sha256', presented, 'binary')) ?? (wellFormed ? UNKNOWN : MALFORMED)
  }

  /** A revocation may have passed by: then letting somebody in is a guess. What is refused already stays refused. */
  const isStale = (): boolean => freshness !== undefined && freshness.staleMs() > STALE_MS_MAX

  const statusesOf = (key: HeldKey, holder: Holder | null): readonly QuotaStatus[] => {
    if (holder === null || key.quotas.length === 0) return NO_STATUSES
    const held = byHolder.get(holderIndex(key.tenant, holder))
    return held === undefined ? NO_STATUSES : key.quotas.flatMap((quotaKey) => held.get(quotaKey) ?? [])
  }

  const judged = (
    key: HeldKey,
    hint: string,
    about: Pick<VerifyRequest, 'permission' | 'from'>,
    spend: boolean,
  ): Decided => {
    const holder = holderOf(key)
    const now = holders.now(key.tenant, holder)
    const statuses = currentStatuses(statusesOf(key, holder), now)
    const { permission, from = null } = about
    const judgement = judge({ key, hint, statuses, now, permission, from })
    if (judgement.kind === 'refused')
      return { key, statuses, decidedAt: now, rates: NO_RATES, refusal: judgement }
    if (spend && isStale()) return { key, statuses, decidedAt: now, rates: NO_RATES, refusal: STALE }
    const spent = spend ? rates.spend(key, hint, statuses) : NOTHING_SPENT
    if (spent.refusal === null && spend) noteUse?.(key, now)
    return { key, statuses, decidedAt: now, rates: spent.figures, refusal: spent.refusal }
  }

  const decide = ({ tenant, key: presented, permission, from = null }: VerifyRequest): Decided => {
    const found = find(presented)
    const decided =
      'kind' in found
        ? { ...NOBODY, refusal: found }
        : tenant !== null && found.tenant !== tenant
          ? { ...NOBODY, refusal: UNKNOWN }
          : judged(found, keyHint(presented), { permission, from }, true)
    metrics.decided(decided.refusal === null ? 'valid' : decided.refusal.code)
    return decided
  }

  const applyStatus = (status: QuotaStatus): 'applied' | 'older' => {
    const index = holderIndex(status.tenant, status.holder)
    const held = byHolder.get(index) ?? new Map<QuotaKey, QuotaStatus>()
    if ((held.get(status.quotaKey)?.version ?? 0) >= status.version) return 'older'
    byHolder.set(index, held.set(status.quotaKey, status))
    return 'applied'
  }

  return {
    apply(document) {
      metrics.applied(document.kind === 'key' ? keys.put(document) : applyStatus(document))
      if (document.kind === 'key') metrics.keysHeld(keys.size())
    },

    authenticate(presented, from = null) {
      const key = find(presented)
      if ('kind' in key) {
        metrics.decided(key.code)
        return { kind: 'refused', status: 401, code: key.code, detail: key.detail }
      }
      const holder = holderOf(key)
      const now = holders.now(key.tenant, holder)
      // A quota that blocks requests does not keep usage from being told: only a suspension shuts the API.
      const statuses = statusesOf(key, holder).filter((status) => status.phase === 'suspended')
      const judgement = judge({ key, hint: keyHint(presented), statuses, now, permission: null, from })
      if (judgement.kind === 'refused') {
        metrics.decided(judgement.code)
        const { code, detail } = judgement
        if (judgement.status === 401) return { kind: 'refused', status: 401, code, detail }
        const forbidden = code === 'addressNotAllowed' ? code : 'keySuspended'
        return { kind: 'refused', status: 403, code: forbidden, detail }
      }
      metrics.decided('valid')
      noteUse?.(key, now)
      const scopes = API_SCOPES.filter((scope) => key.scopes.includes(scope))
      return { kind: 'authenticated', principal: { tenant: key.tenant, keyId: key.keyId, scopes } }
    },

    decide,
    verify: (request) => verificationOf(decide(request)),
    find(presented) {
      const found = find(presented)
      return 'kind' in found ? null : found
    },
    explain: (state, permission) => verificationOf(judged(state, state.hint, { permission }, false)),

    *statuses() {
      for (const held of byHolder.values()) yield* held.values()
    },
    size: () => keys.size(),
    byteLength: () => keys.byteLength(),
  }
}

/** A decision with everything there is to tell of the key. */
export function verificationOf({ key, statuses, decidedAt, rates, refusal }: Decided): Verification {
  const about = {
    keyId: key?.keyId ?? null,
    name: key?.name ?? null,
    customer: key?.customer ?? null,
    subject: key?.subject ?? null,
    environment: key?.environment ?? null,
    scopes: key?.scopes ?? [],
    quotas: statuses.map(figuresOf),
    decidedAt,
    rates,
  }
  if (refusal !== null) return { ...about, valid: false, refusal }
  const remaining = rates.map((rate) => rate.remaining)
  return { ...about, valid: true, requestsRemaining: remaining.length === 0 ? null : Math.min(...remaining) }
}

/** Longer texts are no keys of anybody; hashing them would be work for an attacker's asking. */
const KEY_CHARS_MAX = 500
const NO_STATUSES: readonly QuotaStatus[] = []
const NO_RATES: readonly RateFigures[] = []
const NOTHING_SPENT = { figures: NO_RATES, refusal: null }
const NOBODY = { key: null, statuses: NO_STATUSES, decidedAt: null, rates: NO_RATES }
const MALFORMED = refusal('malformedKey', 401, 'This is not an API key: its form or its checksum is wrong.')
const STALE = {
  ...refusal(
    'unavailable',
    503,
    'What is known of API keys is too old to decide by. This is no fault of yours; try again.',
  ),
  retryAfterSeconds: 2,
}
const UNKNOWN = refusal('unknownKey', 401, 'There is no such API key.')
