import type { CustomerKey, QuotaKey, SubjectId } from '../id/ids.ts'
import { formatInstant, type Instant } from '../time/instant.ts'
import { type Cause, causesInForce } from './cause.ts'
import { describeHolder } from './holder.ts'
import type { KeyState, QuotaStatus } from './key-state.ts'
import { remainingOf, shutsOut } from './settle.ts'

export const REFUSAL_CODES = [
  'malformedKey',
  'unknownKey',
  'revokedKey',
  'expiredKey',
  'keySuspended',
  'insufficientPermission',
  'creditsExhausted',
  'quotaExceeded',
  'rateLimited',
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
  readonly resetAt: Instant | null
}

export interface Refusal {
  readonly kind: 'refused'
  readonly code: RefusalCode
  readonly status: 401 | 402 | 403 | 429
  /** What is the matter and what would help, for the person who holds the key. */
  readonly detail: string
  /** Present when waiting alone can help, and only then. */
  readonly retryAfterSeconds: number | null
  readonly causes: readonly Cause[]
  readonly quota: QuotaFigures | null
}

export type Judgement = { readonly kind: 'admitted' } | Refusal

export interface Presented {
  readonly state: KeyState
  /** Of the key's quotas, those that were evaluated. */
  readonly statuses: readonly QuotaStatus[]
  /** By the key's clock. */
  readonly now: Instant
  readonly permission: string | null
}

/**
 * May this key be used now? A pure function of states and clock, in order of precedence: the key itself (401), its
 * suspensions and permissions (403), the quotas that are used up (402, 429). Rates and leases come after it, for
 * they are spent by asking. A state whose epoch is over binds nothing: the turn of a period needs nobody's help.
 */
export function judge({ state, statuses, now, permission }: Presented): Judgement {
  if (state.revokedAt !== null) {
    return refusal(
      'revokedKey',
      401,
      `The key ${state.hint} was revoked at ${formatInstant(state.revokedAt)}.`,
    )
  }
  if (state.expiresAt !== null && now >= state.expiresAt) {
    return refusal('expiredKey', 401, `The key ${state.hint} expired at ${formatInstant(state.expiresAt)}.`)
  }
  const causes = causesInForce(state.causes, now)
  const ofOthers = causes.filter((cause) => cause.kind !== 'quota')
  if (ofOthers.length > 0) {
    const why = ofOthers.map(describeCause).join('; ')
    return { ...refusal('keySuspended', 403, `The key ${state.hint} is suspended: ${why}.`), causes }
  }
  if (permission !== null && !state.scopes.includes(permission) && !impliedByAdmin(state, permission)) {
    return refusal(
      'insufficientPermission',
      403,
      `The key ${state.hint} lacks the permission "${permission}".`,
    )
  }
  const current = currentStatuses(statuses, now)
  const suspending = causes.find((cause) => cause.kind === 'quota')
  const shut =
    current.find((status) => suspending !== undefined && status.quotaKey === suspending.quotaKey) ??
    current.find((status) => shutsOut(status.phase))
  if (shut !== undefined && (suspending !== undefined || shutsOut(shut.phase))) {
    return { ...quotaRefusal(shut, now), causes }
  }
  if (suspending !== undefined) return { ...causeRefusal(suspending, now), causes }
  return { kind: 'admitted' }
}

/** The statuses whose epoch is not over. */
export function currentStatuses(statuses: readonly QuotaStatus[], now: Instant): readonly QuotaStatus[] {
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
    resetAt: status.resetAt,
  }
}

/** Who a key stands for. */
export interface KeyIdentity {
  readonly customer: CustomerKey | null
  readonly subject: SubjectId | null
}

export function refusal(code: RefusalCode, status: Refusal['status'], detail: string): Refusal {
  return { kind: 'refused', code, status, detail, retryAfterSeconds: null, causes: [], quota: null }
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
function causeRefusal(cause: Extract<Cause, { kind: 'quota' }>, now: Instant): Refusal {
  const detail = `The quota "${cause.quotaKey}" is used up in ${cause.epoch}.`
  if (cause.until === null) return refusal('creditsExhausted', 402, detail)
  return { ...refusal('quotaExceeded', 429, detail), retryAfterSeconds: secondsUntil(cause.until, now) }
}

export function secondsUntil(at: Instant, now: Instant): number {
  return Math.max(1, Math.ceil((at - now) / 1000))
}

function impliedByAdmin(state: KeyState, permission: string): boolean {
  return (permission === 'read' || permission === 'ingest') && state.scopes.includes('admin')
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
