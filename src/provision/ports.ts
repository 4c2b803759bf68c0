import type { ApiKeyId, CustomerKey, MeterKey, QuotaKey, SubjectId, TenantId } from '../id/ids.ts'
import type { Page, PageRequest } from '../id/page.ts'
import type { Instant, Interval } from '../time/instant.ts'
import type { Cause, CauseKind } from './cause.ts'
import type { KeySecret } from './mint.ts'
import type { Holder } from './holder.ts'
import type { KeyState, QuotaStatus } from './key-state.ts'
import type { Quota } from './quota.ts'
import type { Notice, Settlement } from './settle.ts'

/** What the gate must know of a holder besides its usage. */
export interface HolderProfile {
  readonly customer: CustomerKey | null
  /** IANA; quota periods are cut in it. */
  readonly timezone: string
  /** Whose usage counts. */
  readonly subjects: readonly SubjectId[]
  /** The billing period at the holder's present; null without a subscription. */
  readonly billingPeriod: Interval | null
}

export interface HolderDirectory {
  /** The holder's present: its test clock's where it lives on one. From memory: it stands on the path of every verification. */
  now(tenant: TenantId, holder: Holder | null): Instant
  /** Who pays for a subject. From memory. */
  customerOf(tenant: TenantId, subject: SubjectId): CustomerKey | null
  /** Null when there is no such customer. A subject that nobody pays for lives in UTC. */
  profile(tenant: TenantId, holder: Holder): Promise<HolderProfile | null>
}

export interface MeterDirectory {
  /** The event type that a meter counts; null when there is no such meter. From memory. */
  eventTypeOf(tenant: TenantId, meter: MeterKey): string | null
}

export interface UsageReader {
  /** The exact cumulative quantity, as decimal text, of what is durable now. `0` for no events. */
  usageOf(request: {
    readonly tenant: TenantId
    readonly meter: MeterKey
    readonly subjects: readonly SubjectId[]
    readonly interval: Interval
  }): Promise<string>
}

/** A holder's stand in a quota; it exists from the first key on that carries the quota. */
export interface Assignment {
  readonly tenant: TenantId
  readonly quotaKey: QuotaKey
  readonly holder: Holder
}

/** What `settle` decides on, read under the lock of the assignment. */
export interface AssignmentFacts {
  readonly quota: Quota
  readonly previous: QuotaStatus | null
  /** The sum of the top-ups of an epoch, as decimal text. */
  readonly topUps: (epoch: string) => Promise<string>
  /** The holder's keys that carry the quota and are not revoked. */
  readonly keys: readonly KeyState[]
}

export type KeyChangeOutcome =
  | { readonly kind: 'changed'; readonly state: KeyState }
  /** It was so already. */
  | { readonly kind: 'unchanged'; readonly state: KeyState }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'revoked'; readonly state: KeyState }

export type RotateOutcome =
  | { readonly kind: 'rotated'; readonly state: KeyState; readonly predecessor: KeyState }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'revoked' }
  | { readonly kind: 'alreadyRotated'; readonly to: ApiKeyId }

/** Keys with their published states: every write puts the new state on `key.state.v1` in the same transaction. */
export interface KeyStore {
  /** Also assigns the key's quotas to its holder. Refuses quotas that do not exist, and a hash that is taken. */
  create(
    state: KeyState,
  ): Promise<
    | { readonly kind: 'created' | 'hashTaken' }
    | { readonly kind: 'unknownQuota'; readonly quotaKey: QuotaKey }
  >
  get(tenant: TenantId, keyId: ApiKeyId): Promise<KeyState | null>
  list(
    tenant: TenantId,
    filter: { readonly customer?: CustomerKey | undefined; readonly subject?: SubjectId | undefined },
    page: PageRequest,
  ): Promise<Page<KeyState>>
  /** One transaction: the successor (`succeed` of mint.ts) is there, the predecessor expires at `overlapUntil` at the latest. */
  rotate(
    tenant: TenantId,
    keyId: ApiKeyId,
    successor: KeySecret,
    overlapUntil: Instant,
  ): Promise<RotateOutcome>
  revoke(tenant: TenantId, keyId: ApiKeyId, at: Instant): Promise<KeyChangeOutcome>
  suspend(
    tenant: TenantId,
    keyId: ApiKeyId,
    cause: Exclude<Cause, { kind: 'quota' }>,
  ): Promise<KeyChangeOutcome>
  resume(tenant: TenantId, keyId: ApiKeyId, kind: Exclude<CauseKind, 'quota'>): Promise<KeyChangeOutcome>
  /** Remembers when keys were used; what is held already and later stays. Publishes nothing. */
  noteUses(uses: readonly KeyUse[]): Promise<void>
  /** When each of these keys was last used, as far as it was told; keys that were never used are missing. */
  lastUses(tenant: TenantId, keyIds: readonly ApiKeyId[]): Promise<ReadonlyMap<ApiKeyId, Instant>>
}

export interface KeyUse {
  readonly tenant: TenantId
  readonly keyId: ApiKeyId
  /** By the holder's clock. */
  readonly at: Instant
}

export type PutQuotaOutcome = { readonly kind: 'created' | 'replaced' | 'unchanged'; readonly quota: Quota }

export interface TopUp {
  readonly id: string
  readonly assignment: Assignment
  readonly epoch: string
  readonly units: string
  readonly at: Instant
}

/** Quotas, who holds them, and where each holder stands. */
export interface QuotaStore {
  put(draft: Omit<Quota, 'version'>, at: Instant): Promise<PutQuotaOutcome>
  get(tenant: TenantId, key: QuotaKey): Promise<Quota | null>
  list(tenant: TenantId, page: PageRequest): Promise<Page<Quota>>
  /** All assignments, or those of one quota, or of some holders, of every tenant or one. */
  assignments(filter: {
    readonly tenant?: TenantId
    readonly quotaKey?: QuotaKey
    readonly holders?: readonly Holder[]
  }): Promise<readonly (Assignment & { readonly quota: Quota })[]>
  /**
   * Locks the assignment, asks `decide`, and writes what it settled with the states to be published, all in one
   * transaction. Two settlements of one assignment never overlap, so an older figure cannot overwrite a newer one.
   * Null when the assignment is gone or nothing changed. `fresh` are the notices that were not told before.
   */
  settle(
    assignment: Assignment,
    decide: (facts: AssignmentFacts) => Promise<Settlement | null>,
  ): Promise<{ readonly settlement: Settlement; readonly fresh: readonly Notice[] } | null>
  status(assignment: Assignment): Promise<QuotaStatus | null>
  /** Of one epoch, oldest first. */
  notices(assignment: Assignment, epoch: string): Promise<readonly Notice[]>
  /** Once per id: a repetition with the same id is `repeated`. */
  topUp(topUp: TopUp): Promise<{ readonly kind: 'added' | 'repeated' } | { readonly kind: 'conflict' }>
}

/** Everything that a gate starts from. */
export interface GateSnapshot {
  keys(): AsyncIterable<readonly KeyState[]>
  statuses(): AsyncIterable<readonly QuotaStatus[]>
}

export interface ProvisionMetrics {
  /** One verification or authentication; `code` is `valid` or why it was refused. */
  decided(code: string): void
  keysHeld(count: number): void
  /** A document of `key.state.v1` was applied or was older than what is held. */
  applied(outcome: 'applied' | 'older'): void
  evaluated(outcome: 'changed' | 'same' | 'gone', seconds: number): void
  noticeFired(action: string): void
}
