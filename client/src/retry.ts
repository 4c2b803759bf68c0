export interface RetryPolicy {
  /** Upper bound of the first pause; it doubles with every failure in a row. */
  readonly retryBaseMs: number
  readonly retryPauseMsMax: number
  /** A longer Retry-After is cut to this: a wrong header must not stop delivery for a day. */
  readonly retryAfterMsMax: number
}

/**
 * How long to wait after the `failures`-th failure in a row (1 and up). Exponential with full jitter: anything between
 * nothing and the bound, so that many clients do not come back at one moment. A Retry-After is waited out in full and
 * the jitter comes on top. `random` is in [0, 1).
 */
export function retryPauseMs(
  policy: RetryPolicy,
  failures: number,
  retryAfterMs: number | null,
  random: number,
): number {
  const bound = Math.min(policy.retryPauseMsMax, policy.retryBaseMs * 2 ** Math.min(failures - 1, 52))
  return Math.min(retryAfterMs ?? 0, policy.retryAfterMsMax) + Math.floor(random * bound)
}

/** Reads Retry-After (RFC 9110, 10.2.3): seconds or an HTTP date. Null where there is none that can be read. */
export function parseRetryAfter(header: string | null, nowMs: number): number | null {
  const text = header?.trim() ?? ''
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  if (!/^[A-Z][a-z]{2}[a-z]*,? /.test(text)) return null
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs)
}
