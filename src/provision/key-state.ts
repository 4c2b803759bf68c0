import type { ApiKeyId, CustomerKey, QuotaKey, SubjectId, TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import type { Cause } from './cause.ts'
import type { Holder } from './holder.ts'
import type { Environment } from './key-format.ts'
import type { Phase } from './ladder.ts'
import type { QuotaPeriod } from './quota.ts'

/** How often a key may be used: a bucket of `burst` that refills at `requestsPerSecond`. */
export interface Rate {
  readonly requestsPerSecond: number
  readonly burst: number
}

/** Everything there is to know of a key except the key itself. Published whole; the higher version wins. */
export interface KeyState {
  readonly kind: 'key'
  readonly version: number
  readonly tenant: TenantId
  readonly keyId: ApiKeyId
  /** SHA-256 of the key in base64url. */
  readonly hash: string
  /** `tm_live_Ab3d…9xYz`: to recognise it by. */
  readonly hint: string
  readonly name: string
  readonly environment: Environment
  readonly customer: CustomerKey | null
  readonly subject: SubjectId | null
  /** Scopes of this API and permissions of the tenant's own, one list. */
  readonly scopes: readonly string[]
  readonly quotas: readonly QuotaKey[]
  readonly rate: Rate | null
  /** CIDR ranges that it may be used from; none is from anywhere. */
  readonly ipRanges: readonly string[]
  readonly createdAt: Instant
  /** Not valid before; null: from its creation on. */
  readonly notBefore: Instant | null
  readonly expiresAt: Instant | null
  /** Terminal. */
  readonly revokedAt: Instant | null
  readonly causes: readonly Cause[]
  /** The key that took its place, when it was rotated. */
  readonly rotatedTo: ApiKeyId | null
}

/** Where a holder stands in a quota. Published when it matters to a gate; the higher version wins. */
export interface QuotaStatus {
  readonly kind: 'quotaStatus'
  readonly version: number
  readonly tenant: TenantId
  readonly quotaKey: QuotaKey
  readonly holder: Holder
  readonly unit: string
  readonly period: QuotaPeriod
  readonly epoch: string
  readonly startsAt: Instant
  readonly resetAt: Instant | null
  /** With the top-ups of the epoch; null is unlimited. Decimal text, as all quantities. */
  readonly limit: string | null
  readonly topUps: string
  readonly used: string
  readonly phase: Phase
  /** Name of the rung in force. */
  readonly rung: string | null
  /** The highest share of the limit that is reached and has a rung: `0.8`. */
  readonly warning: string | null
  readonly throttleRequestsPerSecond: number | null
  /** Rung → when it was reached, for the rungs that are reached. */
  readonly reachedAt: Readonly<Record<string, Instant>>
  readonly graceUntil: Instant | null
  /** By the holder's clock. */
  readonly evaluatedAt: Instant
}

/** What stands on `key.state.v1`, one JSON document a record. */
export type KeyTopicDocument = KeyState | QuotaStatus

/** The state of a key for people and lists; `rotating` is valid until its expiry, with a successor. */
export type KeyCondition = 'pending' | 'active' | 'rotating' | 'suspended' | 'expired' | 'revoked'

/** Null for kinds of later versions. */
export function decodeKeyTopicDocument(
  value: Uint8Array,
): KeyTopicDocument | { readonly kind: 'heartbeat' } | null {
  const parsed = JSON.parse(new TextDecoder().decode(value)) as { kind?: unknown } | null
  // Kinds of later versions are none of our business; what we know was written by our own outbox.
  if (parsed?.kind === 'heartbeat') return { kind: 'heartbeat' }
  return parsed?.kind === 'key' || parsed?.kind === 'quotaStatus' ? (parsed as KeyTopicDocument) : null
}
