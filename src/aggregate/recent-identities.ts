import type { LogRecord } from '../usage/event-log.ts'
import { PackWalker } from '../usage/pack-walker.ts'
import { MINUTE_MS } from './touched.ts'

/** Where a copy of an event stands within the log's epoch. */
export interface Place {
  readonly partition: number
  readonly offset: number
  readonly index: number
}

const FIELDS = 6
const OFFSET_LOW = 0x1_0000_0000

/**
 * The identities of the last events, in two generations of bounded size: whether a copy that comes now says another
 * type, minute or subject than the first one, so that the table would not unite the two. Identities are known by 64
 * bits of a keyed hash; who acts on an answer must compare the copies themselves.
 */
export class RecentIdentities {
  readonly #slots: number
  readonly #entriesMax: number
  readonly #seed: number
  #young: Int32Array
  #old: Int32Array
  #entries = 0
  #identityA = 0
  #identityB = 0

  /**
   * @param slotsLog2 two generations of 2^slotsLog2 slots of 24 bytes, each filled to one half
   * @param seed drawn at start: nobody can choose identities that fall together
   */
  constructor(slotsLog2: number, seed: number) {
    this.#slots = 2 ** slotsLog2
    this.#entriesMax = this.#slots / 2
    this.#seed = seed
    this.#young = new Int32Array(this.#slots * FIELDS)
    this.#old = new Int32Array(this.#slots * FIELDS)
  }

  /** Identities that are remembered for certain. */
  get entriesMax(): number {
    return this.#entriesMax
  }

  /**
   * Remembers a copy. Answers the place of the first copy that is remembered where that one has another key; null
   * where this copy is the first, or the table unites the two. Reading the log again changes nothing.
   */
  note(event: PackWalker, partition: number, offset: number): Place | null {
    this.#hashIdentity(event)
    const key = keyHash(event, this.#seed)
    const place = { partition, offset, index: event.index }
    const at = this.#find(this.#young)
    if (this.#isUsed(this.#young, at)) return compare(this.#young, at, key, place)
    const before = this.#find(this.#old)
    this.#young[at] = this.#identityA
    this.#young[at + 1] = this.#identityB
    let first: Place | null = null
    if (this.#isUsed(this.#old, before)) {
      // Still in use: it goes on into the young generation.
      this.#young.set(this.#old.subarray(before, before + FIELDS), at)
      first = compare(this.#young, at, key, place)
    } else {
      put(this.#young, at, key, place)
    }
    this.#grown()
    return first
  }

  #grown(): void {
    this.#entries++
    if (this.#entries < this.#entriesMax) return
    const empty = this.#old.fill(0)
    this.#old = this.#young
    this.#young = empty
    this.#entries = 0
  }

  #isUsed(generation: Int32Array, at: number): boolean {
    return generation[at + 3] !== 0 // the partition's number is kept one higher
  }

  /** The slot of the identity, or the empty one where it belongs. */
  #find(generation: Int32Array): number {
    const mask = this.#slots - 1
    for (let slot = this.#identityA & mask; ; slot = (slot + 1) & mask) {
      const at = slot * FIELDS
      if (!this.#isUsed(generation, at)) return at
      if (generation[at] === this.#identityA && generation[at + 1] === this.#identityB) return at
    }
  }

  /** Two hashes of tenant, source and id in one pass; a separator keeps `a|bc` and `ab|c` apart. */
  #hashIdentity(event: PackWalker): void {
    const { bytes } = event
    let a = this.#seed
    let b = ~this.#seed
    // The casts are for the type checker: the spans lie in `bytes`.
    for (let i = event.tenantStart; i < event.tenantEnd; i++) {
      a = Math.imul(a ^ (bytes[i] as number), 0x01000193)
      b = Math.imul(b ^ (bytes[i] as number), 0x5bd1e995)
    }
    a = Math.imul(a ^ 0x100, 0x01000193)
    b = Math.imul(b ^ 0x100, 0x5bd1e995)
    for (let i = event.sourceStart; i < event.sourceEnd; i++) {
      a = Math.imul(a ^ (bytes[i] as number), 0x01000193)
      b = Math.imul(b ^ (bytes[i] as number), 0x5bd1e995)
    }
    a = Math.imul(a ^ 0x100, 0x01000193)
    b = Math.imul(b ^ 0x100, 0x5bd1e995)
    for (let i = event.idStart; i < event.idEnd; i++) {
      a = Math.imul(a ^ (bytes[i] as number), 0x01000193)
      b = Math.imul(b ^ (bytes[i] as number), 0x5bd1e995)
    }
    this.#identityA = mixed(a)
    this.#identityB = mixed(b)
  }
}

/** Remembers every event of records that count already. */
export function rememberAll(
  recent: RecentIdentities,
  partition: number,
  records: readonly LogRecord[],
): void {
  const walker = new PackWalker()
  for (const { offset, value } of records) {
    walker.open(value)
    while (walker.next()) recent.note(walker, partition, offset)
  }
}

/** The first copy's place where this one has another key; an earlier copy than the first takes its place. */
function compare(generation: Int32Array, at: number, key: number, place: Place): Place | null {
  const first = placeAt(generation, at)
  if (place.offset < first.offset || (place.offset === first.offset && place.index < first.index)) {
    put(generation, at, key, place) // the log is read again from before what was remembered
    return null
  }
  const isSame = place.offset === first.offset && place.index === first.index
  return isSame || generation[at + 2] === key ? null : first
}

function put(generation: Int32Array, at: number, key: number, place: Place): void {
  generation[at + 2] = key
  generation[at + 3] = ((place.partition + 1) << 16) | place.index
  generation[at + 4] = (place.offset % OFFSET_LOW) | 0
  generation[at + 5] = Math.floor(place.offset / OFFSET_LOW)
}

function placeAt(generation: Int32Array, at: number): Place {
  const packed = generation[at + 3] ?? 0
  return {
    partition: (packed >>> 16) - 1,
    index: packed & 0xffff,
    offset: (generation[at + 5] ?? 0) * OFFSET_LOW + ((generation[at + 4] ?? 0) >>> 0),
  }
}

/** What the table unites copies by besides the identity: type, minute and subject. */
function keyHash(event: PackWalker, seed: number): number {
  const { bytes } = event
  let hash = Math.imul(seed ^ Math.floor(event.timeMs / MINUTE_MS), 0x85ebca6b)
  for (let i = event.typeStart; i < event.typeEnd; i++)
    hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  hash = Math.imul(hash ^ 0x100, 0x01000193)
  for (let i = event.subjectStart; i < event.subjectEnd; i++) {
    hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  }
  return mixed(hash)
}

/** The finalizer of MurmurHash3: every bit of the input reaches every bit of the output. */
function mixed(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
