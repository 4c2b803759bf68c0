import { decimal, multiply, roundToPlace, toText } from '../money/decimal.ts'
import { formatInstant, type Instant } from '../time/instant.ts'
import { type QuotaFigures, type RefusalCode, type Refusal, secondsUntil } from './decide.ts'
import type { Verification } from './key-table.ts'
import { field, policyField, type RateLimitItem } from './rate-limit-fields.ts'

/** What a service says for itself in the answers of its gate. */
export interface AnswerOptions {
  readonly realm: string
  /** Types of problems are this and the code. */
  readonly problemBase: string
  /** Registered by a draft (draft-ietf-httpapi-ratelimit-headers-10): where that moves, these are configured. */
  readonly quotaExceededType: string
  readonly reducedCapacityType: string
  /** Where a customer raises a limit or buys units; null: nowhere. */
  readonly upgradeUrl: string | null
  readonly topUpUrl: string | null
  /** Whether `X-RateLimit-*` is sent too, for clients that know only that. */
  readonly legacyHeaders: boolean
}

export const ANSWER_DEFAULTS: AnswerOptions = {
  realm: 'api',
  problemBase: 'urn:tallyman:problem:',
  quotaExceededType: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
  reducedCapacityType: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
  upgradeUrl: null,
  topUpUrl: null,
  legacyHeaders: false,
}

/** What to say over HTTP. `problem` is the body of a refusal (application/problem+json), null when let in. */
export interface GateAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly problem: Readonly<Record<string, unknown>> | null
}

/**
 * A decision as HTTP. One rule above all: `Retry-After` is there exactly when waiting alone can help. 429 and 402
 * mean the customer, 503 means us. Every answer to a known key tells its rates and quotas in RateLimit fields.
 */
export function answerOf(found: Verification, options: AnswerOptions = ANSWER_DEFAULTS): GateAnswer {
  const limits = limitHeaders(found, options.legacyHeaders)
  if (found.valid) return { status: 200, headers: limits, problem: null }
  const { refusal } = found
  const headers: Record<string, string> = { ...limits, 'cache-control': 'no-store' }
  if (refusal.retryAfterSeconds !== null) headers['retry-after'] = String(refusal.retryAfterSeconds)
  const challenge = challengeOf(refusal.code, options.realm)
  if (refusal.status === 401) headers['www-authenticate'] = challenge
  if (refusal.code === 'creditsExhausted' && options.topUpUrl !== null) {
    headers['link'] = `<${options.topUpUrl}>; rel="payment"`
  }
  const problem = {
    type: typeOf(refusal.code, options),
    title: TITLES[refusal.code],
    status: refusal.status,
    detail: refusal.detail,
    code: refusal.code,
    ...membersOf(refusal, options),
    ...decisionOf(refusal.quota),
  }
  return { status: refusal.status, headers, problem }
}

const TITLES: Readonly<Record<RefusalCode, string>> = {
  missingKey: 'No API key',
  malformedKey: 'The API key is not valid',
  unknownKey: 'The API key is not valid',
  revokedKey: 'The API key is not valid',
  notYetValidKey: 'The API key is not valid yet',
  expiredKey: 'The API key is not valid',
  keySuspended: 'The API key is suspended',
  insufficientPermission: 'The API key lacks a permission',
  addressNotAllowed: 'The API key may not be used from here',
  creditsExhausted: 'The credits are used up',
  quotaExceeded: 'The quota is used up',
  inFlightBudget: 'Requests under way hold the rest of the quota',
  rateLimited: 'Too many requests',
  unavailable: 'The gate cannot decide',
}

function typeOf(code: RefusalCode, options: AnswerOptions): string {
  switch (code) {
    case 'missingKey':
    case 'malformedKey':
    case 'unknownKey':
    case 'revokedKey':
    case 'notYetValidKey':
    case 'expiredKey':
      return `${options.problemBase}invalid-key`
    case 'keySuspended':
      return `${options.problemBase}key-suspended`
    case 'insufficientPermission':
      return `${options.problemBase}insufficient-scope`
    case 'addressNotAllowed':
      return `${options.problemBase}address-not-allowed`
    case 'creditsExhausted':
      return `${options.problemBase}credits-exhausted`
    case 'inFlightBudget':
      return `${options.problemBase}in-flight-budget`
    case 'quotaExceeded':
    case 'rateLimited':
      return options.quotaExceededType
    case 'unavailable':
      return options.reducedCapacityType
  }
}

/** The members that belong to a code, and nothing of ours that the caller cannot act on. */
function membersOf(refusal: Refusal, options: AnswerOptions): Readonly<Record<string, unknown>> {
  const { quota, causes } = refusal
  switch (refusal.code) {
    case 'keySuspended':
      return { causes: causes.map(({ kind, since }) => ({ kind, since: formatInstant(since) })) }
    case 'rateLimited':
      return { 'violated-policies': [refusal.policy ?? 'rps'] }
    case 'quotaExceeded':
      return {
        'violated-policies': quota === null ? [] : [quota.quota],
        ...(quota === null ? {} : { limit: quota.limit, used: quota.used, resetAt: instant(quota.resetAt) }),
        ...(options.upgradeUrl === null ? {} : { upgradeUrl: options.upgradeUrl }),
      }
    case 'creditsExhausted':
      return {
        ...(quota === null ? {} : { balance: quota.remaining }),
        ...(refusal.needed === null ? {} : { needed: refusal.needed }),
        ...(options.topUpUrl === null ? {} : { topUpUrl: options.topUpUrl }),
      }
    case 'inFlightBudget':
      return {
        ...(quota === null ? {} : { balance: quota.remaining }),
        reserved: refusal.reserved,
        ...(refusal.needed === null ? {} : { needed: refusal.needed }),
      }
    case 'missingKey':
    case 'malformedKey':
    case 'unknownKey':
    case 'revokedKey':
    case 'notYetValidKey':
    case 'expiredKey':
    case 'insufficientPermission':
    case 'addressNotAllowed':
    case 'unavailable':
      return {}
  }
}

/** Which state of the books refused: with it `why` and the notices of the quota tell the whole story. */
function decisionOf(quota: QuotaFigures | null): Readonly<Record<string, unknown>> {
  return quota === null ? {} : { decision: { ver: quota.version, quota: quota.quota, epoch: quota.epoch } }
}

/** RFC 6750, section 3: no error code where no key was presented. */
function challengeOf(code: RefusalCode, realm: string): string {
  const challenge = `Bearer realm="${realm}"`
  return code === 'missingKey' ? challenge : `${challenge}, error="invalid_token"`
}

function limitHeaders(found: Verification, legacy: boolean): Record<string, string> {
  const items = [...itemsOf(found)]
  const headers: Record<string, string> = {}
  const policies = items.map(policyField).filter((text) => text !== null)
  const states = items.map(field).filter((text) => text !== null)
  if (policies.length > 0) headers['ratelimit-policy'] = policies.join(', ')
  if (states.length > 0) headers['ratelimit'] = states.join(', ')
  const warnings = found.quotas.flatMap(({ quota, warning }) =>
    warning === null ? [] : [`"${quota}";level=${percent(warning)}`],
  )
  if (warnings.length > 0) headers['meter-warning'] = warnings.join(', ')
  const tightest = items.reduce<RateLimitItem | null>(
    (least, item) => (least === null || item.remaining < least.remaining ? item : least),
    null,
  )
  if (legacy && tightest !== null) {
    headers['x-ratelimit-limit'] = String(tightest.quota)
    headers['x-ratelimit-remaining'] = String(tightest.remaining)
    if (tightest.resetSeconds !== null) headers['x-ratelimit-reset'] = String(tightest.resetSeconds)
  }
  return headers
}

function* itemsOf(found: Verification): Generator<RateLimitItem> {
  for (const { name, rate, remaining } of found.rates) {
    const windowSeconds = Math.max(1, Math.ceil(rate.burst / rate.requestsPerSecond))
    const refillSeconds = Math.max(1, Math.ceil((rate.burst - remaining) / rate.requestsPerSecond))
    yield {
      name,
      quota: BigInt(rate.burst),
      remaining: BigInt(remaining),
      windowSeconds,
      resetSeconds: refillSeconds,
      unit: null,
    }
  }
  for (const figures of found.quotas) {
    if (figures.limit === null || figures.remaining === null) continue
    const { quota: name, resetAt, startsAt, unit } = figures
    yield {
      name,
      quota: whole(figures.limit),
      remaining: whole(figures.remaining),
      windowSeconds: resetAt === null ? null : Math.round((resetAt - startsAt) / 1000),
      resetSeconds:
        resetAt === null || found.decidedAt === null ? null : secondsUntil(resetAt, found.decidedAt),
      unit,
    }
  }
}

/** Rounded down: a hint that promises less than there is does no harm. */
function whole(quantity: string): bigint {
  return BigInt(toText(roundToPlace(decimal(quantity), 0, 'floor')))
}

function percent(share: string): string {
  return toText(roundToPlace(multiply(decimal(share), decimal('100')), 0, 'floor'))
}

function instant(at: Instant | null): string | null {
  return at === null ? null : formatInstant(at)
}
