import { retryPauseMs, type RetryPolicy } from './retry.ts'

/** How fast to send, from what the last answers said. Shared by all requests: an outage is met by one of them at a time. */
export interface Pace {
  /** Pauses since the last success. */
  readonly failures: number
  /** Nothing is sent before. */
  readonly resumeAtMs: number
}

export const FULL_PACE: Pace = { failures: 0, resumeAtMs: 0 }

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
  const resumeAtMs = nowMs + retryPauseMs(policy, failures, retryAfterMs, random)
  if (!isSameOutage) return { failures, resumeAtMs }
  return {
    failures,
    resumeAtMs: retryAfterMs === null ? pace.resumeAtMs : Math.max(pace.resumeAtMs, resumeAtMs),
  }
}

/** After an answer that only a person can change: one try every `haltedRetryMs`. */
export function halted(pace: Pace, haltedRetryMs: number, nowMs: number): Pace {
  return { failures: pace.failures + 1, resumeAtMs: Math.max(pace.resumeAtMs, nowMs + haltedRetryMs) }
}

/** Requests that may be under way at once: after a failure one at a time finds out whether it is over. */
export function inFlightMaxAt(pace: Pace, inFlightMax: number): number {
  return pace.failures === 0 ? inFlightMax : 1
}
