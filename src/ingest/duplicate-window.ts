import type { Pack } from './pack.ts'

/** An event that was packed before: the pack, where it begins there, and its place in the pack. */
export interface FirstCopy {
  readonly pack: Pack
  readonly position: number
  readonly index: number
}

/** Words of an entry beside its hash: slot of the pack plus one, position, index. */
const ENTRY_WORDS = 3
const ENTRIES_AT_START = 1024
/** A longer chain means crafted ids: the newcomer is then not remembered, which costs only its recognition. */
const PROBES_MAX = 64
/** What a pack costs beside its events. */
const PACK_OVERHEAD_BYTES = 512

interface Generation {
  number: number
  table: Table
  entries: number
  packs: Pack[]
  bytes: number
}

/** The hashes stand apart, so that looking for an identity that is new reads one dense array and nothing else. */
interface Table {
  /** 0: empty. */
  readonly hashes: Int32Array
  readonly entries: Int32Array
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
    if (young.entries * 2 >= young.table.hashes.length) grow(young)
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
    const fits = table.hashes.length >= this.#old.table.hashes.length
    if (fits) table.hashes.fill(0)
    this.#young = {
      number: Math.max(number, this.#old.number) + 1,
      table: fits ? table : emptyTable(this.#old.table.hashes.length),
      entries: 0,
      packs: [],
      bytes: 0,
    }
  }
}

function emptyTable(length: number): Table {
  return { hashes: new Int32Array(length), entries: new Int32Array(length * ENTRY_WORDS) }
}

function emptyGeneration(number: number): Generation {
  return { number, table: emptyTable(ENTRIES_AT_START), entries: 0, packs: [], bytes: 0 }
}

/** Spreads the hash over the table: partitions share its low bits. */
function firstEntry(hash: number, tableLength: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> (Math.clz32(tableLength) + 1)
}

/** The hash as it is kept: 0 says that an entry is empty. */
function kept(hash: number): number {
  return hash === 0 ? 1 : hash
}

function lookUp(
  generation: Generation,
  hash: number,
  bytes: Uint8Array,
  from: number,
  to: number,
): FirstCopy | null {
  const { table, packs } = generation
  const { hashes, entries } = table
  const mask = hashes.length - 1
  const wanted = kept(hash)
  let entry = firstEntry(wanted, hashes.length)
  for (let probe = 0; probe < PROBES_MAX; probe++) {
    const found = hashes[entry] as number
    if (found === 0) return null
    if (found === wanted) {
      const at = entry * ENTRY_WORDS
      const pack = packs[(entries[at] as number) - 1] as Pack
      const position = entries[at + 1] as number
      if (pack.holdsAt(position, bytes, from, to)) return { pack, position, index: entries[at + 2] as number }
    }
    entry = (entry + 1) & mask
  }
  return null
}

function insert(table: Table, hash: number, slot: number, position: number, index: number): boolean {
  const { hashes, entries } = table
  const mask = hashes.length - 1
  let entry = firstEntry(kept(hash), hashes.length)
  for (let probe = 0; probe < PROBES_MAX; probe++) {
    if (hashes[entry] === 0) {
      hashes[entry] = kept(hash)
      const at = entry * ENTRY_WORDS
      entries[at] = slot
      entries[at + 1] = position
      entries[at + 2] = index
      return true
    }
    entry = (entry + 1) & mask
  }
  return false
}

function grow(generation: Generation): void {
  const { hashes, entries } = generation.table
  const table = emptyTable(hashes.length * 2)
  for (let entry = 0; entry < hashes.length; entry++) {
    const hash = hashes[entry] as number
    if (hash === 0) continue
    const at = entry * ENTRY_WORDS
    insert(table, hash, entries[at] as number, entries[at + 1] as number, entries[at + 2] as number)
  }
  generation.table = table
}
