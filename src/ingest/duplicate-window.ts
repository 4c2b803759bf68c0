import type { Pack } from './pack.ts'

/** An event that was packed before: the pack, where it begins there, and its place in the pack. */
export interface FirstCopy {
  readonly pack: Pack
  readonly position: number
  readonly index: number
}

/** Words of a table entry: hash, slot of the pack plus one (0: empty), position, index. */
const ENTRY_WORDS = 4
const ENTRIES_AT_START = 1024
/** A longer chain means crafted ids: the newcomer is then not remembered, which costs only its recognition. */
const PROBES_MAX = 64
/** What a pack costs beside its events. */
const PACK_OVERHEAD_BYTES = 512

interface Generation {
  number: number
  table: Int32Array
  entries: number
  packs: Pack[]
  bytes: number
}

/**
 * The identities of recently packed events, exact: an entry points at the encoded event, and identities are compared
 * byte by byte. Two generations; the older one is forgotten when the younger is full, so that it remembers at least
 * half of `bytesMax`. To forget is harmless: the copy is appended and the first coordinate wins downstream.
 */
export class DuplicateWindow {
  readonly #generationBytesMax: number
  #young: Generation
  #old: Generation

  constructor(bytesMax: number) {
    this.#generationBytesMax = bytesMax / 2
    this.#young = emptyGeneration(0)
    this.#old = emptyGeneration(-1)
  }

  get entries(): number {
    return this.#young.entries + this.#old.entries
  }

  /** The earlier copy of the identity that stands in `bytes[from, to)`, encoded as a pack holds it. */
  find(hash: number, bytes: Uint8Array, from: number, to: number): FirstCopy | null {
    return lookUp(this.#young, hash, bytes, from, to) ?? lookUp(this.#old, hash, bytes, from, to)
  }

  /** Remembers an event of `pack`. Only for identities that `find` did not know. */
  remember(hash: number, pack: Pack, position: number, index: number, byteLength: number): void {
    if (this.#young.bytes >= this.#generationBytesMax) this.#rotate()
    const young = this.#young
    if (young.entries * 2 >= young.table.length / ENTRY_WORDS) grow(young)
    if (pack.windowGeneration !== young.number) {
      pack.windowGeneration = young.number
      pack.windowSlot = young.packs.push(pack)
      young.bytes += PACK_OVERHEAD_BYTES
    }
    if (!insert(young.table, hash, pack.windowSlot, position, index)) return
    young.entries++
    young.bytes += byteLength
  }

  /** Forgets everything: after a failed append nobody may be told that a first copy of it is on the log. */
  clear(): void {
    const number = this.#young.number + 2
    this.#young = emptyGeneration(number)
    this.#old = emptyGeneration(number - 1)
  }

  #rotate(): void {
    const { table, number } = this.#old
    this.#old = this.#young
    // The outgoing table is used again: at a steady rate the new generation will be as large.
    const fits = table.length >= this.#old.table.length
    this.#young = {
      number: Math.max(number, this.#old.number) + 1,
      table: fits ? table.fill(0) : new Int32Array(this.#old.table.length),
      entries: 0,
      packs: [],
      bytes: 0,
    }
  }
}

function emptyGeneration(number: number): Generation {
  return { number, table: new Int32Array(ENTRIES_AT_START * ENTRY_WORDS), entries: 0, packs: [], bytes: 0 }
}

/** Spreads the hash over the table: partitions share its low bits. */
function firstEntry(hash: number, tableLength: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> (Math.clz32(tableLength / ENTRY_WORDS) + 1)
}

function lookUp(
  generation: Generation,
  hash: number,
  bytes: Uint8Array,
  from: number,
  to: number,
): FirstCopy | null {
  const { table, packs } = generation
  const mask = table.length / ENTRY_WORDS - 1
  let entry = firstEntry(hash, table.length)
  for (let probe = 0; probe < PROBES_MAX; probe++) {
    const at = entry * ENTRY_WORDS
    const slot = table[at + 1] as number
    if (slot === 0) return null
    if (table[at] === hash) {
      const pack = packs[slot - 1] as Pack
      const position = table[at + 2] as number
      if (pack.holdsAt(position, bytes, from, to)) return { pack, position, index: table[at + 3] as number }
    }
    entry = (entry + 1) & mask
  }
  return null
}

function insert(table: Int32Array, hash: number, slot: number, position: number, index: number): boolean {
  const mask = table.length / ENTRY_WORDS - 1
  let entry = firstEntry(hash, table.length)
  for (let probe = 0; probe < PROBES_MAX; probe++) {
    const at = entry * ENTRY_WORDS
    if (table[at + 1] === 0) {
      table[at] = hash
      table[at + 1] = slot
      table[at + 2] = position
      table[at + 3] = index
      return true
    }
    entry = (entry + 1) & mask
  }
  return false
}

function grow(generation: Generation): void {
  const old = generation.table
  const table = new Int32Array(old.length * 2)
  for (let at = 0; at < old.length; at += ENTRY_WORDS) {
    const slot = old[at + 1] as number
    if (slot === 0) continue
    insert(table, old[at] as number, slot, old[at + 2] as number, old[at + 3] as number)
  }
  generation.table = table
}
