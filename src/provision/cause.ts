import type { QuotaKey } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'

/**
 * Why a key is suspended. A key has a set of causes and is open only when none is in force; each is cleared by its
 * own kind alone, so the turn of a month never re-opens a key that an administrator or a leak scan has closed.
 */
export type Cause =
  | {
      readonly kind: 'quota'
      readonly quotaKey: QuotaKey
      readonly epoch: string
      readonly since: Instant
      /** The end of the epoch: from then on it suspends nothing, whether or not it was dropped yet. Null: no end. */
      readonly until: Instant | null
    }
  | { readonly kind: 'admin'; readonly by: string; readonly reason: string; readonly since: Instant }
  | { readonly kind: 'payment'; readonly reason: string; readonly since: Instant }
  | { readonly kind: 'leak'; readonly reason: string; readonly since: Instant }

export type CauseKind = Cause['kind']
export type QuotaCause = Extract<Cause, { kind: 'quota' }>

/** The set with `cause` in it; a cause of the same thing is replaced but keeps its first `since`. */
export function withCause(causes: readonly Cause[], cause: Cause): readonly Cause[] {
  const same = causes.find((other) => sameThing(other, cause))
  const kept = causes.filter((other) => other !== same)
  return [...kept, same === undefined ? cause : { ...cause, since: same.since }]
}

/** The set without the causes of one kind; a quota's only those of that quota. */
export function withoutCauses(
  causes: readonly Cause[],
  of:
    { readonly kind: 'quota'; readonly quotaKey: QuotaKey } | { readonly kind: Exclude<CauseKind, 'quota'> },
): readonly Cause[] {
  return causes.filter(
    (cause) =>
      cause.kind !== of.kind ||
      (cause.kind === 'quota' && of.kind === 'quota' && cause.quotaKey !== of.quotaKey),
  )
}

/** The causes that suspend at `now`. */
export function causesInForce(causes: readonly Cause[], now: Instant): readonly Cause[] {
  return causes.filter((cause) => cause.kind !== 'quota' || cause.until === null || now < cause.until)
}

function sameThing(a: Cause, b: Cause): boolean {
  if (a.kind !== 'quota' || b.kind !== 'quota') return a.kind === b.kind
  return a.quotaKey === b.quotaKey && a.epoch === b.epoch
}
