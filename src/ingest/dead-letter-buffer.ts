import { setTimeout as pause } from 'node:timers/promises'
import type { TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import {
  type DeadLetter,
  DEAD_LETTER_LIMITS,
  deadLetterId,
  type DeadLetterStore,
  type EventNames,
  maskKeys,
  type RejectionReason,
} from './dead-letter.ts'

/** A rejected event as the stage hands it over. */
interface RejectedEvent {
  readonly tenant: TenantId
  readonly reason: RejectionReason
  readonly named: EventNames
  /** Of the request's body: copied when it is kept. */
  readonly raw: Uint8Array
  readonly arrivedAt: Instant
  readonly now: Instant
}

/** Where rejected events go. Nobody waits for it: the answer to the client is the same whether one is kept or not. */
export interface RejectedEvents {
  /** Whether there is room: asked before anything is made of the event. */
  hasRoom(): boolean
  keep(event: RejectedEvent): void
}

export interface DeadLetterMetrics {
  /** Written; a letter that is rejected again counts again. */
  kept(letters: number): void
  /** Not kept, because too many waited to be written or the process ended. */
  dropped(letters: number): void
  observeBuffer(bytes: () => number): void
}

export interface DeadLetterBuffer extends RejectedEvents {
  /** Writes what waits, once, and ends. */
  stop(): Promise<void>
}

export interface DeadLetterBufferOptions {
  readonly store: Pick<DeadLetterStore, 'keep'>
  readonly metrics: DeadLetterMetrics
  /** Told when the store did not take a batch; it is tried again. */
  readonly onFault: (error: unknown) => void
  readonly limits?: Partial<Record<keyof typeof DEAD_LETTER_LIMITS, number>>
}

const RETRY_PAUSE_MS = 2000

/**
 * Rejected events on their way to the store: bounded, written in batches with a pause behind each, dropped and counted
 * when too many come. Equal events are one letter with a count, so that a client in a loop fills nothing.
 */
export function createDeadLetterBuffer(options: DeadLetterBufferOptions): DeadLetterBuffer {
  const { store, metrics, onFault } = options
  const limits = { ...DEAD_LETTER_LIMITS, ...options.limits }
  const waiting = new Map<string, DeadLetter>()
  const stopping = new AbortController()
  let bytesWaiting = 0
  let writing: Promise<void> | null = null
  metrics.observeBuffer(() => bytesWaiting)

  function hasRoom(): boolean {
    const isFull = waiting.size >= limits.bufferLettersMax || bytesWaiting >= limits.bufferBytesMax
    if (!isFull && !stopping.signal.aborted) return true
    metrics.dropped(1)
    return false
  }

  function keep(event: RejectedEvent): void {
    const letter = letterOf(event)
    const name = `${letter.tenant} ${letter.id}`
    const there = waiting.get(name)
    if (there === undefined) bytesWaiting += letter.body.length
    waiting.set(name, { ...letter, times: (there?.times ?? 0) + 1 })
    writing ??= write().finally(() => (writing = null))
  }

  function takeBatch(): DeadLetter[] {
    const batch: DeadLetter[] = []
    let bytes = 0
    for (const [name, letter] of waiting) {
      if (batch.length >= limits.batchLettersMax) break
      if (bytes > 0 && bytes + letter.body.length > limits.batchBytesMax) break
      waiting.delete(name)
      bytes += letter.body.length
      batch.push(letter)
    }
    bytesWaiting -= bytes
    return batch
  }

  async function write(): Promise<void> {
    // The first of a burst waits for the others.
    await rest(limits.pauseMs)
    while (waiting.size > 0) {
      const batch = takeBatch()
      await writeBatch(batch)
      await rest(limits.pauseMs)
    }
  }

  /** Tries until it is written; when the process ends, once more. */
  async function writeBatch(batch: readonly DeadLetter[]): Promise<void> {
    for (;;) {
      try {
        await store.keep(batch)
        metrics.kept(batch.length)
        return
      } catch (error) {
        onFault(error)
        if (stopping.signal.aborted) {
          metrics.dropped(batch.length)
          return
        }
      }
      await rest(RETRY_PAUSE_MS)
    }
  }

  async function rest(ms: number): Promise<void> {
    if (stopping.signal.aborted) return
    // Ends early when the process does.
    await pause(ms, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined)
  }

  return {
    hasRoom,
    keep,
    async stop() {
      stopping.abort()
      await writing
    },
  }
}

function letterOf({ tenant, reason, named, raw, arrivedAt, now }: RejectedEvent): DeadLetter {
  const { bodyBytesMax, cutBodyBytes } = DEAD_LETTER_LIMITS
  const isCut = raw.length > bodyBytesMax
  const kept = Buffer.from(isCut ? raw.subarray(0, cutBodyBytes) : raw)
  // Byte for byte: only the letters of a key become asterisks.
  const body = Buffer.from(maskKeys(kept.toString('latin1')), 'latin1')
  // Of a body that is cut, the whole decides which letter it is.
  const id = deadLetterId(tenant, isCut ? raw : body)
  return { tenant, id, reason, named, body, isCut, times: 1, arrivedAt, lastAt: now }
}
