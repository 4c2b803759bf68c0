/**
 * How old a replica's knowledge may be. Records of a log come in order, so a heartbeat that was applied here proves
 * that everything that was published before it was applied, too: revocations above all.
 */
export interface Freshness {
  /** A heartbeat of the topic was applied. */
  beat(): void
  staleMs(): number
}

/** @param monotonicMs milliseconds of a clock that never jumps, and goes on while the machine sleeps where there is one */
export function createFreshness(monotonicMs: () => number): Freshness {
  let beatAtMs = monotonicMs()
  return {
    beat() {
      beatAtMs = monotonicMs()
    },
    staleMs: () => monotonicMs() - beatAtMs,
  }
}

/** What stands on `key.state.v1` every second, from any process that can write there. */
export const HEARTBEAT: Uint8Array = Buffer.from('{"kind":"heartbeat"}')
export const HEARTBEAT_MS = 1_000
/** Beyond this a gate that is asked to be sure answers that it cannot decide. */
export const STALE_MS_MAX = 3_000
