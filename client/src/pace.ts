import { retryPauseMs, type RetryPolicy } from './retry.ts'

/** How fast to send, from what the last answers said. Shared by all requests: an outage is met by one of them at a time. */
export interface Pace {
  /** Pauses since the last success. */
  readonly failures: number
  /** Nothing is sent before. */
  readonly resumeAtMs: number
  /** The part of the pause that the server has asked for. */
  readonly askedUntilMs: number
}

export const FULL_PACE: Pace = { failures: 0, resumeAtMs: 0, askedUntilMs: 0 }

/**
 * After a failure that may pass. Requests that fail while a pause is already running belong to the same outage: they do
 * not lengthen the exponential pause, only a Retry-After of theirs counts.
 */
export function slower(
  pace: Pace,
  policy: RetryPolicy,
  nowMs: number,
  retryAfterMs: number | null,
  random: number,
): Pace {
  const isSameOutage = nowMs < pace.resumeAtMs
  const failures = isSameOutage ? pace.failures : pace.failures + 1
  const askedMs = retryAfterMs === null ? 0 : nowMs + Math.min(retryAfterMs, policy.retryAfterMsMax)
  const askedUntilMs = Math.max(pace.askedUntilMs, askedMs)
  if (isSameOutage && retryAfterMs === null) return pace
  const resumeAtMs = nowMs + retryPauseMs(policy, failures, retryAfterMs, random)
  return { failures, resumeAtMs: Math.max(pace.resumeAtMs, resumeAtMs), askedUntilMs }
}

/** After an answer that only a person can change: one try every `haltedRetryMs`. */
export function halted(pace: Pace, haltedRetryMs: number, nowMs: number): Pace {
  const { askedUntilMs } = pace
  const resumeAtMs = Math.max(pace.resumeAtMs, nowMs + haltedRetryMs)
  return { failures: pace.failures + 1, resumeAtMs, askedUntilMs }
}

/**
 * When time is short, because the client is being closed: a long pause that it has chosen itself ends now, and the next
 * ones begin short again. What the server has asked for is kept.
 */
export function hastened(pace: Pace): Pace {
  return { ...pace, failures: Math.min(pace.failures, 1), resumeAtMs: pace.askedUntilMs }
}

/** Requests that may be under way at once: after a failure one at a time finds out whether it is over. */
export function inFlightMaxAt(pace: Pace, inFlightMax: number): number {
  return pace.failures === 0 ? inFlightMax : 1
}
