import type { QuotaKey } from '../id/ids.ts'
import { formatInstant, type Instant } from '../time/instant.ts'
import { type Cause, causesInForce, type QuotaCause } from './cause.ts'
import { describeHolder } from './holder.ts'
import { compileIpRanges } from './ip-ranges.ts'
import type { KeyState, QuotaStatus } from './key-state.ts'
import { describePermission, isPermitted, type PermissionQuery } from './permission.ts'
import { remainingOf, shutsOut } from './settle.ts'

export const REFUSAL_CODES = [
  'missingKey',
  'malformedKey',
  'unknownKey',
  'revokedKey',
  'notYetValidKey',
  'expiredKey',
  'keySuspended',
  'insufficientPermission',
  'addressNotAllowed',
  'creditsExhausted',
  'quotaExceeded',
  'inFlightBudget',
  'rateLimited',
  'unavailable',
] as const
export type RefusalCode = (typeof REFUSAL_CODES)[number]

/** The figures of a quota as a gate tells them. */
export interface QuotaFigures {
  readonly quota: QuotaKey
  readonly unit: string
  readonly limit: string | null
  readonly used: string
  readonly remaining: string | null
  readonly epoch: string
  readonly startsAt: Instant
  readonly resetAt: Instant | null
  /** The highest share of the ladder that is reached: `0.8`. */
  readonly warning: string | null
  /** Of the status that the figures are from: which state of the books a decision rests on. */
  readonly version: number
}

export interface Refusal {
  readonly kind: 'refused'
  readonly code: RefusalCode
  readonly status: 401 | 402 | 403 | 429 | 503
  /** What is the matter and what would help, for the person who holds the key. */
  readonly detail: string
  /** Present when waiting alone can help, and only then. */
  readonly retryAfterSeconds: number | null
  readonly causes: readonly Cause[]
  readonly quota: QuotaFigures | null
  /** Of a rate: which one was exceeded. */
  readonly policy: string | null
  /** Units that the request asked for, where it asked for units. */
  readonly needed: string | null
  /** Units that other requests under way hold. */
  readonly reserved: string | null
}

export type Judgement = { readonly kind: 'admitted' } | Refusal

/** What a decision looks at in a key. */
type JudgedKey = Pick<KeyState, 'scopes' | 'ipRanges' | 'notBefore' | 'expiresAt' | 'revokedAt' | 'causes'>

export interface Presented {
  readonly key: JudgedKey
  /** What people recognise the key by. */
  readonly hint: string
  /** Of the key's quotas, those that were evaluated. */
  readonly statuses: readonly QuotaStatus[]
  /** By the key's clock. */
  readonly now: Instant
  readonly permission: PermissionQuery | null
  /** The address that the request came from; null when nobody told. */
  readonly from: string | null
}

/**
 * May this key be used now? A pure function of states and clock, in order of precedence: the key itself (401), its
 * suspensions, permissions and addresses (403), the quotas that are used up (402, 429). Rates and leases come after
 * it, for they are spent by asking. A state whose epoch is over binds nothing: the turn of a period needs nobody's
 * help.
 */
export function judge({ key, hint, statuses, now, permission, from }: Presented): Judgement {
  if (key.revokedAt !== null) {
    return refusal('revokedKey', 401, `The key ${hint} was revoked at ${formatInstant(key.revokedAt)}.`)
  }
  if (key.notBefore !== null && now < key.notBefore) {
    const detail = `The key ${hint} is valid from ${formatInstant(key.notBefore)} on.`
    return {
      ...refusal('notYetValidKey', 401, detail),
      retryAfterSeconds: secondsUntil(key.notBefore, now),
    }
  }
  if (key.expiresAt !== null && now >= key.expiresAt) {
    return refusal('expiredKey', 401, `The key ${hint} expired at ${formatInstant(key.expiresAt)}.`)
  }
  const causes = key.causes.length === 0 ? key.causes : causesInForce(key.causes, now)
  const ofOthers = causes.filter((cause) => cause.kind !== 'quota')
  if (ofOthers.length > 0) {
    const why = ofOthers.map(describeCause).join('; ')
    return { ...refusal('keySuspended', 403, `The key ${hint} is suspended: ${why}.`), causes }
  }
  if (permission !== null && !isPermitted(key.scopes, permission)) {
    const detail = `The key ${hint} lacks the permission ${describePermission(permission)}.`
    return refusal('insufficientPermission', 403, detail)
  }
  if (key.ipRanges.length > 0 && (from === null || !isWithin(key.ipRanges, from))) {
    const detail = `The key ${hint} may not be used from ${from ?? 'an unknown address'}.`
    return refusal('addressNotAllowed', 403, detail)
  }
  const shut = longestShut(currentStatuses(statuses, now), causes)
  if (shut === null) return { kind: 'admitted' }
  const refused = shut.kind === 'quotaStatus' ? quotaRefusal(shut, now) : causeRefusal(shut, now)
  return { ...refused, causes }
}

/**
 * Of what shuts the key out, that which lasts longest: a holder whose credits are gone and whose month is used up
 * must not be told that waiting helps. Figures are preferred to a cause whose figures have not arrived.
 */
function longestShut(
  statuses: readonly QuotaStatus[],
  causes: readonly Cause[],
): QuotaStatus | QuotaCause | null {
  const suspending = causes.filter((cause) => cause.kind === 'quota')
  const shut: (QuotaStatus | QuotaCause)[] = statuses.filter(
    ({ phase, quotaKey }) => shutsOut(phase) || suspending.some((cause) => cause.quotaKey === quotaKey),
  )
  const told = new Set(shut.map(({ quotaKey }) => quotaKey))
  shut.push(...suspending.filter(({ quotaKey }) => !told.has(quotaKey)))
  return shut.reduce<QuotaStatus | QuotaCause | null>(
    (longest, one) => (longest === null || endOf(one) > endOf(longest) ? one : longest),
    null,
  )
}

function endOf(shut: QuotaStatus | QuotaCause): number {
  return (shut.kind === 'quota' ? shut.until : shut.resetAt) ?? Number.POSITIVE_INFINITY
}

/** Compiled once for each list of ranges; lists are shared by the keys that have the same. */
const COMPILED_RANGES = new WeakMap<readonly string[], (address: string) => boolean>()

function isWithin(ranges: readonly string[], address: string): boolean {
  let compiled = COMPILED_RANGES.get(ranges)
  if (compiled === undefined) {
    compiled = compileIpRanges(ranges)
    COMPILED_RANGES.set(ranges, compiled)
  }
  return compiled(address)
}

/** The statuses whose epoch is not over. */
export function currentStatuses(statuses: readonly QuotaStatus[], now: Instant): readonly QuotaStatus[] {
  if (statuses.length === 0) return statuses
  return statuses.filter((status) => status.resetAt === null || now < status.resetAt)
}

export function figuresOf(status: QuotaStatus): QuotaFigures {
  return {
    quota: status.quotaKey,
    unit: status.unit,
    limit: status.limit,
    used: status.used,
    remaining: remainingOf(status),
    epoch: status.epoch,
    startsAt: status.startsAt,
    resetAt: status.resetAt,
    warning: status.warning,
    version: status.version,
  }
}

export function refusal(code: RefusalCode, status: Refusal['status'], detail: string): Refusal {
  return {
    kind: 'refused',
    code,
    status,
    detail,
    retryAfterSeconds: null,
    causes: [],
    quota: null,
    policy: null,
    needed: null,
    reserved: null,
  }
}

function quotaRefusal(status: QuotaStatus, now: Instant): Refusal {
  const figures = figuresOf(status)
  const spent = `${status.used} of ${status.limit ?? 'unlimited'} ${status.unit} of ${describeHolder(status.holder)}`
  if (status.resetAt === null) {
    const detail = `The prepaid quota "${status.quotaKey}" is used up: ${spent}. A top-up opens it again.`
    return { ...refusal('creditsExhausted', 402, detail), quota: figures }
  }
  const detail = `The quota "${status.quotaKey}" is used up: ${spent} in ${status.epoch}; it resets at ${formatInstant(status.resetAt)}.`
  return {
    ...refusal('quotaExceeded', 429, detail),
    retryAfterSeconds: secondsUntil(status.resetAt, now),
    quota: figures,
  }
}

/** A cause whose figures have not arrived yet: states and statuses are published one by one. */
function causeRefusal(cause: QuotaCause, now: Instant): Refusal {
  const detail = `The quota "${cause.quotaKey}" is used up in ${cause.epoch}.`
  if (cause.until === null) return refusal('creditsExhausted', 402, detail)
  return { ...refusal('quotaExceeded', 429, detail), retryAfterSeconds: secondsUntil(cause.until, now) }
}

export function secondsUntil(at: Instant, now: Instant): number {
  return Math.max(1, Math.ceil((at - now) / 1000))
}

function describeCause(cause: Cause): string {
  switch (cause.kind) {
    case 'quota':
      return `quota "${cause.quotaKey}" in ${cause.epoch}`
    case 'admin':
      return `by ${cause.by}: ${cause.reason}`
    case 'payment':
      return `payment: ${cause.reason}`
    case 'leak':
      return `leaked: ${cause.reason}`
  }
}
