import { settlePart, type AppendPart } from './append-part.ts'
import type { KafkaFault } from './kafka-fault.ts'
import { WIRE_BATCH_BYTES_MAX } from './settings.ts'

const PAUSE_MS_FIRST = 25
const PAUSE_MS_MAX = 400

/** What became of a queue that was given up. */
export interface GivenUp {
  readonly parts: readonly AppendPart[]
  readonly records: number
  /** A part that was never sent is certainly not on the log. */
  readonly isInDoubt: (part: AppendPart) => boolean
}

/** What waits for one partition, and the one batch of it that is on its way. */
export class PartitionQueue {
  readonly topic: string
  readonly partition: number
  #waiting: AppendPart[] = []
  /** The batch on its way, or to be sent again: always the same parts in the same order. */
  #batch: AppendPart[] = []
  #isSending = false
  #firstAttemptMs: number | null = null
  #isInDoubt = false
  #pauseMs = PAUSE_MS_FIRST
  #isPausing = false

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  add(part: AppendPart): void {
    this.#waiting.push(part)
  }

  get isReady(): boolean {
    if (this.#isSending || this.#isPausing) return false
    return this.#batch.length > 0 || this.#waiting.length > 0
  }

  /** Fixes what is sent next and gives its bytes: the batch that failed, else as much as waits and fits. */
  take(nowMs: number): number {
    this.#isSending = true
    this.#firstAttemptMs ??= nowMs
    let bytes = this.#batch.reduce((sum, part) => sum + part.bytes, 0)
    if (this.#batch.length > 0) return bytes
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (bytes > 0 && bytes + next.bytes > WIRE_BATCH_BYTES_MAX) break
      bytes += next.bytes
      this.#batch.push(next)
      this.#waiting.shift()
    }
    return bytes
  }

  get messages(): AppendPart['messages'] {
    return this.#batch.flatMap((part) => part.messages)
  }

  get recordsInFlight(): number {
    return this.#batch.reduce((sum, part) => sum + part.messages.length, 0)
  }

  appended(baseOffset: number): void {
    const { partition } = this
    let offset = baseOffset
    for (const part of this.#clear()) {
      const first = offset
      settlePart(part, (position) => ({ kind: 'appended', partition, offset: first + position }))
      offset += part.messages.length
    }
  }

  /** Keeps the batch to be sent again after a pause, and gives the pause; null when the time for that is over. */
  pause(nowMs: number, retryMsMax: number, fault: KafkaFault): number | null {
    const pauseMs = this.#pauseMs
    if (nowMs + pauseMs - (this.#firstAttemptMs ?? nowMs) > retryMsMax) return null
    this.#isInDoubt ||= fault.isInDoubt
    this.#isSending = false
    this.#isPausing = true
    this.#pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)
    return pauseMs
  }

  resume(): void {
    this.#isPausing = false
  }

  /** All of it, also what waits behind the batch: it came while the partition could not be written. */
  giveUp(fault: KafkaFault): GivenUp {
    const isInDoubt = this.#isInDoubt || fault.isInDoubt
    const batch = new Set(this.#clear())
    const parts = [...batch, ...this.#waiting]
    this.#waiting = []
    return {
      parts,
      records: parts.reduce((sum, part) => sum + part.messages.length, 0),
      isInDoubt: (part) => isInDoubt && batch.has(part),
    }
  }

  #clear(): AppendPart[] {
    const batch = this.#batch
    this.#batch = []
    this.#isSending = false
    this.#firstAttemptMs = null
    this.#isInDoubt = false
    this.#pauseMs = PAUSE_MS_FIRST
    return batch
  }
}
