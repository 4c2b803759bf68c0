import type { EventLog } from '../usage/event-log.ts'

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
const HEARTBEAT_MS = 1_000
/** Beyond this a gate that is asked to be sure answers that it cannot decide. */
export const STALE_MS_MAX = 3_000

export interface HeartbeatOptions {
  readonly log: Pick<EventLog, 'append'>
  readonly topic: string
  /** Told of beats that could not be written. */
  readonly onFault: (error: unknown) => void
  readonly everyMs?: number
}

/** Writes a heartbeat every second; several processes may. Stopping waits for the one under way. */
export function startHeartbeat(options: HeartbeatOptions): { stop(): Promise<void> } {
  const { log, topic, onFault, everyMs = HEARTBEAT_MS } = options
  let writing: Promise<void> | null = null
  const beat = async (): Promise<void> => {
    const [outcome] = await log.append(topic, [{ partition: 0, value: HEARTBEAT }])
    if (outcome?.kind !== 'appended') throw new Error(outcome?.reason ?? 'the log gave no answer')
  }
  const timer = setInterval(() => {
    writing ??= beat()
      .catch(onFault)
      .finally(() => {
        writing = null
      })
  }, everyMs)
  return {
    async stop() {
      clearInterval(timer)
      await writing
    },
  }
}
