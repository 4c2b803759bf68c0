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
  /** What `take` would answer, without taking. */
  peek(bucket: string, rate: Rate, nowMs: number): RateOutcome
  /** Forgets buckets that are full again; they would answer the same if they were new. */
  sweep(nowMs: number): void
  size(): number
} {
  const arrivals = new Map<string, number>()
  const measure = (
    bucket: string,
    { requestsPerSecond, burst }: Rate,
    nowMs: number,
  ): { readonly outcome: RateOutcome; readonly next: number } => {
    const intervalMs = 1000 / requestsPerSecond
    const toleranceMs = intervalMs * burst
    // A clock that jumps back must not lock a bucket for longer than a whole burst.
    const known = Math.min(arrivals.get(bucket) ?? nowMs, nowMs + toleranceMs)
    const next = Math.max(known, nowMs) + intervalMs
    // A millionth of a request of slack: sums of `intervalMs` are binary fractions.
    const slackMs = intervalMs * 1e-6
    if (next - nowMs > toleranceMs + slackMs) {
      return { outcome: { kind: 'exceeds', retryAfterMs: next - nowMs - toleranceMs }, next }
    }
    const remaining = Math.floor((toleranceMs - (next - nowMs) + slackMs) / intervalMs)
    return { outcome: { kind: 'conforms', remaining }, next }
  }
  return {
    take(bucket, rate, nowMs) {
      const { outcome, next } = measure(bucket, rate, nowMs)
      if (outcome.kind === 'conforms') arrivals.set(bucket, next)
      return outcome
    },
    peek: (bucket, rate, nowMs) => measure(bucket, rate, nowMs).outcome,
    sweep(nowMs) {
      for (const [bucket, arrival] of arrivals) if (arrival <= nowMs) arrivals.delete(bucket)
    },
    size: () => arrivals.size,
  }
}
