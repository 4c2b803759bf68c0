import type { KeyState } from './key-state.ts'
import {
  createTemplates,
  decodeKey,
  encodeKey,
  HASH_BYTES,
  type HeldKey,
  recordLength,
  versionAt,
} from './key-record.ts'
import { createStringPool } from './string-pool.ts'

/** A million keys in some fifty bytes each. Rows are byte offsets; they hold until the next `put`. */
export interface CompactKeys {
  /** Takes a state in unless what is held is as new. */
  put(state: KeyState): 'applied' | 'older'
  /** Finds a key by the SHA-256 of what was presented, as latin1 text of 32 characters. */
  find(digest: string): HeldKey | null
  size(): number
  /** Bytes of all buffers. */
  byteLength(): number
}

const CHUNK_BYTES = 1 << 20
const CHUNKS_MAX = 4096
const SLOTS_MIN = 1024
/** Linear probing meets some four records at this load, and thirteen at 0.8. */
const LOAD_MAX = 0.6
const GROWTH = 1.6
/** Room is made by copying when this share of the records is superseded. */
const WASTE_MAX = 0.5
const WASTE_BYTES_MIN = CHUNK_BYTES

/** Open addressing over 128 bits of the hash; the records stand one after another in chunks. */
export function createCompactKeys(): CompactKeys {
  const strings = createStringPool()
  const templates = createTemplates()
  let chunks: Buffer[] = [Buffer.alloc(CHUNK_BYTES)]
  // Offset 0 marks a free slot, so the first byte is wasted.
  let end = 1
  let wasted = 0
  let count = 0
  let slots = new Uint32Array(SLOTS_MIN)
  const scratch = Buffer.alloc(CHUNK_BYTES)
  const wanted = Buffer.alloc(HASH_BYTES)

  const chunkOf = (row: number): Buffer => {
    const chunk = chunks[row >>> 20]
    if (chunk === undefined) throw new RangeError(`no key at ${row}`)
    return chunk
  }
  const within = (row: number): number => row & (CHUNK_BYTES - 1)
  const firstSlot = (bytes: Buffer, at: number, capacity: number): number =>
    Math.floor((bytes.readUInt32LE(at) / 0x1_0000_0000) * capacity)

  /** The slot that holds the hash, or the free one where it belongs. */
  const slotOf = (bytes: Buffer): number => {
    let slot = firstSlot(bytes, 0, slots.length)
    for (let row = slots[slot] ?? 0; row !== 0; row = slots[slot] ?? 0) {
      if (sameHash(bytes, chunkOf(row), within(row))) return slot
      slot = slot + 1 === slots.length ? 0 : slot + 1
    }
    return slot
  }
  const rehash = (capacity: number, rows: Iterable<number>): void => {
    const larger = new Uint32Array(capacity)
    for (const row of rows) {
      if (row === 0) continue
      let slot = firstSlot(chunkOf(row), within(row), capacity)
      while (larger[slot] !== 0) slot = slot + 1 === capacity ? 0 : slot + 1
      larger[slot] = row
    }
    slots = larger
  }
  const append = (bytes: Buffer, from: number, length: number): number => {
    if (within(end) + length > CHUNK_BYTES || end >>> 20 >= chunks.length) {
      // Rows are 32 bits: some eighty million keys. Beyond them a gate holds a part of the tenants.
      if (chunks.length === CHUNKS_MAX) throw new RangeError('the key table is full')
      chunks.push(Buffer.alloc(CHUNK_BYTES))
      end = (chunks.length - 1) * CHUNK_BYTES
    }
    const row = end
    bytes.copy(chunkOf(row), within(row), from, from + length)
    end += length
    return row
  }
  const lengthOf = (row: number): number => recordLength(chunkOf(row), within(row))

  const makeRoom = (): void => {
    if (wasted < WASTE_BYTES_MIN || wasted < end * WASTE_MAX) return
    const old = chunks
    const rows = [...slots].filter((row) => row !== 0)
    const lengths = rows.map(lengthOf)
    chunks = [Buffer.alloc(CHUNK_BYTES)]
    end = 1
    wasted = 0
    const moved = rows.map((row, i) => append(old[row >>> 20] ?? scratch, within(row), lengths[i] ?? 0))
    rehash(slots.length, moved)
  }

  return {
    put(state) {
      const length = encodeKey(scratch, state, strings, templates)
      const slot = slotOf(scratch)
      const held = slots[slot] ?? 0
      if (held !== 0) {
        if (versionAt(chunkOf(held), within(held)) >= state.version) return 'older'
        const heldLength = lengthOf(held)
        if (heldLength === length) {
          scratch.copy(chunkOf(held), within(held), 0, length)
          return 'applied'
        }
        wasted += heldLength
        slots[slot] = append(scratch, 0, length)
        makeRoom()
        return 'applied'
      }
      slots[slot] = append(scratch, 0, length)
      if (++count > slots.length * LOAD_MAX) rehash(Math.ceil(slots.length * GROWTH), slots)
      return 'applied'
    },
    find(digest) {
      wanted.write(digest, 0, HASH_BYTES, 'latin1')
      const row = slots[slotOf(wanted)] ?? 0
      return row === 0 ? null : decodeKey(chunkOf(row), within(row), strings, templates)
    },
    size: () => count,
    byteLength: () => chunks.length * CHUNK_BYTES + slots.byteLength + strings.byteLength(),
  }
}

/**
 * Nobody can choose the bytes of a SHA-256, so how long the comparison of two of them takes tells nothing about a
 * key; 128 of its bits are compared, which are as hard to meet as a key is to guess.
 */
function sameHash(a: Buffer, b: Buffer, at: number): boolean {
  // The first bytes chose the slot, so that neighbours have them in common: the last ones differ soonest.
  for (let i = HASH_BYTES - 1; i >= 0; i--) if (a[i] !== b[at + i]) return false
  return true
}
