import type { Instant } from '../time/instant.ts'
import { PackEncoder } from '../usage/pack-encoder.ts'

/** A record of one partition on its way to the log, and afterwards what the duplicate window compares with. */
export class Pack {
  readonly partition: number
  #encoder: PackEncoder | null
  #record: Uint8Array | null = null
  #moved = 0
  /** Offset of the record once it is durable; -1 before. */
  offset = -1
  /** The generation of the duplicate window that knows this pack under `windowSlot`. */
  windowGeneration = -1
  windowSlot = -1

  constructor(partition: number, encoder: PackEncoder) {
    this.partition = partition
    this.#encoder = encoder
  }

  /** Only while the pack is open. */
  get encoder(): PackEncoder {
    if (this.#encoder === null) throw new Error('the pack is closed')
    return this.#encoder
  }

  get isDurable(): boolean {
    return this.offset >= 0
  }

  /** Whether the bytes at `position` (as it was while the pack was open) begin with `expected[from, to)`. */
  holdsAt(position: number, expected: Uint8Array, from: number, to: number): boolean {
    const bytes = this.#record ?? this.encoder.bytes
    const start = position - this.#moved
    const length = to - from
    if (start + length > bytes.length) return false
    for (let i = 0; i < length; i++) if (bytes[start + i] !== expected[from + i]) return false
    return true
  }

  /** The byte at `position`, as `holdsAt` counts. */
  byteAt(position: number): number {
    return (this.#record ?? this.encoder.bytes)[position - this.#moved] ?? 0
  }

  /** Closes the pack and gives its encoder back for the next one. */
  close(ingestedAt: Instant): { readonly record: Uint8Array; readonly encoder: PackEncoder } {
    const encoder = this.encoder
    const { record, bodyOffset } = encoder.seal(ingestedAt)
    this.#record = record
    this.#moved = bodyOffset
    this.#encoder = null
    return { record, encoder }
  }
}
