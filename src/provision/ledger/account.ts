import type { QuotaKey, TenantId } from '../../id/ids.ts'
import type { Instant, Interval } from '../../time/instant.ts'
import type { Holder } from '../holder.ts'
import type { Epoch, Quota, QuotaPeriod, Rung } from '../quota.ts'

/** The books of one holder in one leased quota. */
export interface AccountName {
  readonly tenant: TenantId
  readonly quotaKey: QuotaKey
  readonly holder: Holder
}

/** What an account is kept by; told by a command like everything else, so that replay needs nothing but the log. */
export interface Terms {
  /** Units of one period; null is unlimited. */
  readonly limit: bigint | null
  readonly unit: string
  readonly period: QuotaPeriod
  /** IANA: periods are cut in it. */
  readonly timezone: string
  /** The holder's billing period, for quotas that follow it; without a later one it goes on. */
  readonly billingPeriod: Interval | null
  readonly ladder: readonly Rung[]
  /** What of an unused limit moves into the next period: at least `min`, at most `max`. Null: nothing. */
  readonly rollover: { readonly min: bigint; readonly max: bigint } | null
  /** What an enforcer does that can ask nobody. */
  readonly onUnavailable: Quota['onUnavailable']
}

/** Where units come from: the limit of the period, or a grant (a top-up, a promotion, a rollover). */
export interface Pool {
  readonly id: string
  readonly granted: bigint
  /** Settled: admitted for certain, or charged as if. */
  readonly used: bigint
  /** In open and forfeited leases. */
  readonly leased: bigint
  /** Lower burns first. */
  readonly priority: number
  readonly effectiveAt: Instant
  readonly expiresAt: Instant | null
  readonly createdAt: Instant
}

export interface Part {
  readonly pool: string
  readonly units: bigint
}

/** A right to admit `units` without asking again. */
export interface Lease {
  /** `1`, `2`, …: unique in the account. */
  readonly id: string
  readonly holder: string
  readonly incarnation: number
  readonly units: bigint
  readonly parts: readonly Part[]
  /** Forfeited: its holder is lost. It stays charged in full until somebody knows what was used of it. */
  readonly state: 'open' | 'forfeited'
  readonly recalled: boolean
  /** Admissions outside of it cannot use it: the clock that stamps an event also picks its period. */
  readonly epoch: Interval
}

export type AcquireAnswer =
  | { readonly kind: 'granted'; readonly lease: Lease; readonly sequence: number }
  | {
      readonly kind: 'denied'
      readonly sequence: number
      /** Everything is settled: only a top-up, a raised limit or the next period help. */
      readonly final: boolean
      /** What could be leased, less than would have been useful. */
      readonly free: bigint
      readonly resetAt: Instant | null
      /** Holders that are asked to give back what they do not need. */
      readonly recall: readonly string[]
    }

/** The last acquire of a holder, to be answered the same when it comes again. */
interface Session {
  readonly incarnation: number
  readonly sequence: number
  readonly answer: AcquireAnswer | null
  /** Label of the epoch in which the holder was last seen. */
  readonly seenIn: string
}

export interface Account {
  readonly name: AccountName
  readonly terms: Terms
  /** The time of the last command; time never runs back in the books. */
  readonly now: Instant
  readonly epoch: Epoch
  readonly pools: readonly Pool[]
  readonly leases: readonly Lease[]
  readonly sessions: Readonly<Record<string, Session>>
  /** Lease → units by which it was reconciled, in this epoch. */
  readonly reconciled: Readonly<Record<string, bigint>>
  /** Source → units that it charged past the gate in all its life. */
  readonly charged: Readonly<Record<string, bigint>>
  /** Rung → when it was reached, in this epoch. */
  readonly reachedAt: Readonly<Record<string, Instant>>
  readonly leaseNumber: number
  /** Units that were admitted but told only after the lease was reconciled by less. Must be zero. */
  readonly lateUnits: bigint
  /** Units that came past the gate. */
  readonly unleasedUnits: bigint
  /** Grows with every command that changed something. */
  readonly version: number
}

export interface AccountFigures {
  /** Limit and grants; null is unlimited. */
  readonly limit: bigint | null
  readonly settled: bigint
  readonly leased: bigint
  /** Of what is leased, what no holder will give back: it lies idle until somebody knows what was used of it. */
  readonly forfeited: bigint
  /** What may still be leased; null is unlimited, and less than zero where the limit was lowered below what is out. */
  readonly free: bigint | null
}

/** A text that names an account uniquely. */
export function accountIndex({ tenant, quotaKey, holder }: AccountName): string {
  return `${tenant}\0${holder.kind}\0${holder.id}\0${quotaKey}`
}

export function basePoolId(epoch: string): string {
  return `limit ${epoch}`
}

/** Whether a pool's unused units can be had now. */
export function isAvailable(pool: Pool, now: Instant): boolean {
  return now >= pool.effectiveAt && (pool.expiresAt === null || now < pool.expiresAt)
}

/**
 * S, O, L and what is free. A pool that cannot be had counts with what was taken of it, so that an expiry takes the
 * unused units away at once and nothing else.
 */
export function figuresOfAccount({ pools, leases, terms, now }: Account): AccountFigures {
  let limit = 0n
  let settled = 0n
  let leased = 0n
  for (const pool of pools) {
    limit += isAvailable(pool, now) ? pool.granted : pool.used + pool.leased
    settled += pool.used
    leased += pool.leased
  }
  const forfeited = leases
    .filter((lease) => lease.state === 'forfeited')
    .flatMap((lease) => lease.parts)
    .reduce((sum, part) => (pools.some((pool) => pool.id === part.pool) ? sum + part.units : sum), 0n)
  if (terms.limit === null) return { limit: null, settled, leased, forfeited, free: null }
  return { limit, settled, leased, forfeited, free: limit - settled - leased }
}
