import type { BatchLimits, Entry } from './buffer.ts'

/** What is known of the events that wait. */
export interface Waiting {
  readonly events: number
  readonly bytes: number
  /** When the oldest of them was recorded; null where none waits. */
  readonly oldestAtMs: number | null
}

export type BatchReadiness =
  { readonly kind: 'empty' } | { readonly kind: 'ready' } | { readonly kind: 'later'; readonly atMs: number }

/** Whether the next batch is full or its oldest event has waited `lingerMs`, and otherwise when it will have. */
export function readiness(
  waiting: Waiting,
  limits: BatchLimits & { readonly lingerMs: number },
  nowMs: number,
): BatchReadiness {
  if (waiting.oldestAtMs === null) return { kind: 'empty' }
  if (waiting.events >= limits.batchEventsMax || waiting.bytes >= limits.batchBytesMax)
    return { kind: 'ready' }
  const atMs = waiting.oldestAtMs + limits.lingerMs
  return atMs <= nowMs ? { kind: 'ready' } : { kind: 'later', atMs }
}

const OPEN = 0x5b
const COMMA = 0x2c
const CLOSE = 0x5d

/** The body of a batch: a JSON array of the events' own bytes. */
export function batchBody(entries: readonly Entry[]): Uint8Array<ArrayBuffer> {
  const bytes = entries.reduce((sum, { event }) => sum + event.body.length + 1, 1)
  const body = new Uint8Array(Math.max(2, bytes))
  body[0] = OPEN
  let at = 1
  for (const { event } of entries) {
    if (at > 1) body[at++] = COMMA
    body.set(event.body, at)
    at += event.body.length
  }
  body[at] = CLOSE
  return body
}
