import type { Rate } from './key-state.ts'

export type RateOutcome =
  | { readonly kind: 'conforms'; readonly remaining: number }
  | { readonly kind: 'exceeds'; readonly retryAfterMs: number }

/**
 * Rate limits by the generic cell rate algorithm: one number a bucket, the theoretical arrival time of the next
 * request. Bursts of `burst` pass at once, then `requestsPerSecond`; a refused request costs nothing.
 */
export function createRateLimiter(): {
  take(bucket: string, rate: Rate, nowMs: number): RateOutcome
  /** Forgets buckets that are full again; they would answer the same if they were new. */
  sweep(nowMs: number): void
  size(): number
} {
  const arrivals = new Map<string, number>()
  return {
    take(bucket, { requestsPerSecond, burst }, nowMs) {
      const intervalMs = 1000 / requestsPerSecond
      const toleranceMs = intervalMs * burst
      // A clock that jumps back must not lock a bucket for longer than a whole burst.
      const known = Math.min(arrivals.get(bucket) ?? nowMs, nowMs + toleranceMs)
      const next = Math.max(known, nowMs) + intervalMs
      // A millionth of a request of slack: sums of `intervalMs` are binary fractions.
      const slackMs = intervalMs * 1e-6
      if (next - nowMs > toleranceMs + slackMs) {
        return { kind: 'exceeds', retryAfterMs: next - nowMs - toleranceMs }
      }
      arrivals.set(bucket, next)
      return {
        kind: 'conforms',
        remaining: Math.floor((toleranceMs - (next - nowMs) + slackMs) / intervalMs),
      }
    },
    sweep(nowMs) {
      for (const [bucket, arrival] of arrivals) if (arrival <= nowMs) arrivals.delete(bucket)
    },
    size: () => arrivals.size,
  }
}
