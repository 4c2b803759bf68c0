import { type Refusal, refusal } from './decide.ts'
import { createRateLimiter } from './gcra.ts'
import { holderIndex } from './holder.ts'
import type { HeldKey } from './key-record.ts'
import type { QuotaStatus, Rate } from './key-state.ts'

/** How a rate stands after a request. */
export interface RateFigures {
  /** `rps` for the key's own, else the key of the quota that throttles. */
  readonly name: string
  readonly rate: Rate
  /** Requests that would pass at once. */
  readonly remaining: number
}

interface Bucket {
  readonly id: string
  readonly rate: Rate
  readonly name: string
  readonly says: string
}

const SWEEP_MS = 60_000

/** The rates of a request: the key's own, and that of every quota that throttles its holder; all or none is spent. */
export function createRates(monotonicMs: () => number): {
  spend(
    key: Pick<HeldKey, 'keyId' | 'rate' | 'rotatedTo'>,
    hint: string,
    statuses: readonly QuotaStatus[],
  ): { readonly figures: readonly RateFigures[]; readonly refusal: Refusal | null }
} {
  const limiter = createRateLimiter()
  let sweepAtMs = monotonicMs() + SWEEP_MS
  return {
    spend(key, hint, statuses) {
      if (key.rate === null && !statuses.some(isThrottled)) return UNLIMITED
      const nowMs = monotonicMs()
      if (nowMs >= sweepAtMs) {
        limiter.sweep(nowMs)
        sweepAtMs = nowMs + SWEEP_MS
      }
      const buckets = [...bucketsOf(key, hint, statuses)]
      const outcomes = buckets.map(({ id, rate }) => limiter.peek(id, rate, nowMs))
      const exceeded = outcomes.findIndex((outcome) => outcome.kind === 'exceeds')
      if (exceeded === -1) {
        for (const { id, rate } of buckets) limiter.take(id, rate, nowMs)
      }
      // Of several that are exceeded the longest wait counts: before it, waiting does not help.
      const waits = outcomes.map((outcome) => (outcome.kind === 'exceeds' ? outcome.retryAfterMs : 0))
      const longestMs = Math.max(...waits)
      const worst = buckets[waits.indexOf(longestMs)]
      const figures = buckets.map(({ name, rate }, index) => {
        const outcome = outcomes[index]
        return { name, rate, remaining: outcome?.kind === 'conforms' ? outcome.remaining : 0 }
      })
      if (exceeded === -1 || worst === undefined) return { figures, refusal: null }
      const { rate, says, name } = worst
      const detail = `${says} allows ${rate.requestsPerSecond} requests a second in bursts of ${rate.burst}.`
      const refused = refusal('rateLimited', 429, detail)
      const retryAfterSeconds = Math.max(1, Math.ceil(longestMs / 1000))
      return { figures, refusal: { ...refused, policy: name, retryAfterSeconds } }
    },
  }
}

const UNLIMITED = { figures: [], refusal: null }

function isThrottled(status: QuotaStatus): boolean {
  return status.throttleRequestsPerSecond !== null
}

function* bucketsOf(
  key: Pick<HeldKey, 'keyId' | 'rate' | 'rotatedTo'>,
  hint: string,
  statuses: readonly QuotaStatus[],
): Generator<Bucket> {
  if (key.rate !== null) {
    // A rotated key shares the bucket of its successor: two keys in an overlap are not twice the rate.
    yield { id: key.rotatedTo ?? key.keyId, rate: key.rate, name: 'rps', says: `The key ${hint}` }
  }
  for (const status of statuses) {
    const requestsPerSecond = status.throttleRequestsPerSecond
    if (requestsPerSecond === null) continue
    yield {
      id: `${holderIndex(status.tenant, status.holder)}\0${status.quotaKey}`,
      rate: { requestsPerSecond, burst: Math.max(1, Math.ceil(requestsPerSecond)) },
      name: status.quotaKey,
      says: `The quota "${status.quotaKey}" throttles: it`,
    }
  }
}
