import type { PackWalker } from '../usage/pack-walker.ts'

export interface TouchedSubject {
  readonly tenant: string
  readonly type: string
  readonly subject: string
  readonly firstMs: number
  readonly lastMs: number
}

/** Events of a minute have arrived in a partition, the last of them in the record before `end`. */
export interface MinuteMark {
  readonly tenant: string
  readonly type: string
  /** Minutes since the epoch. */
  readonly minute: number
  readonly partition: number
  readonly end: number
}

export const MINUTE_MS = 60_000
const PARTITIONS_MAX = 0x1_0000

interface SubjectEntry {
  readonly key: Uint8Array
  readonly tenantLength: number
  readonly typeLength: number
  readonly type: TypeEntry
  firstMs: number
  lastMs: number
  readonly next: SubjectEntry | undefined
}

interface TypeEntry {
  readonly tenant: string
  readonly type: string
  /** minute * 65,536 + partition → end of the last record with events of it. */
  readonly ends: Map<number, number>
  lastKey: number
  lastEnd: number
}

/**
 * Who and which minutes the events of a flush touch, gathered from bytes: text is decoded once per subject and
 * flush, not once per event.
 */
export class Touched {
  readonly #subjects = new Map<number, SubjectEntry>()
  readonly #types = new Map<string, TypeEntry>()
  readonly #seed: number
  #count = 0

  /** @param seed drawn at start: nobody can choose subjects that all fall into one bucket */
  constructor(seed: number) {
    this.#seed = seed
  }

  get subjectCount(): number {
    return this.#count
  }

  add(event: PackWalker, partition: number, offset: number): void {
    const entry = this.#subjectOf(event)
    if (event.timeMs < entry.firstMs) entry.firstMs = event.timeMs
    if (event.timeMs > entry.lastMs) entry.lastMs = event.timeMs
    const { type } = entry
    const key = Math.floor(event.timeMs / MINUTE_MS) * PARTITIONS_MAX + partition
    const end = offset + 1
    if (type.lastKey === key && type.lastEnd === end) return
    type.lastKey = key
    type.lastEnd = end
    if ((type.ends.get(key) ?? 0) < end) type.ends.set(key, end)
  }

  subjects(): readonly TouchedSubject[] {
    const all: TouchedSubject[] = []
    for (const chain of this.#subjects.values()) {
      for (let entry: SubjectEntry | undefined = chain; entry !== undefined; entry = entry.next) {
        const typeEnd = entry.tenantLength + entry.typeLength
        all.push({
          tenant: entry.type.tenant,
          type: entry.type.type,
          subject: Buffer.from(entry.key.buffer, entry.key.byteOffset, entry.key.length).toString(
            'utf8',
            typeEnd,
          ),
          firstMs: entry.firstMs,
          lastMs: entry.lastMs,
        })
      }
    }
    return all
  }

  marks(): readonly MinuteMark[] {
    const all: MinuteMark[] = []
    for (const { tenant, type, ends } of this.#types.values()) {
      for (const [key, end] of ends) {
        const partition = ((key % PARTITIONS_MAX) + PARTITIONS_MAX) % PARTITIONS_MAX
        all.push({ tenant, type, minute: (key - partition) / PARTITIONS_MAX, partition, end })
      }
    }
    return all
  }

  #subjectOf(event: PackWalker): SubjectEntry {
    const hash = hashOf(event, this.#seed)
    const chain = this.#subjects.get(hash)
    for (let entry = chain; entry !== undefined; entry = entry.next) if (isOf(entry, event)) return entry
    const entry = this.#newEntry(event, chain)
    this.#subjects.set(hash, entry)
    this.#count++
    return entry
  }

  #newEntry(event: PackWalker, next: SubjectEntry | undefined): SubjectEntry {
    const { bytes } = event
    const tenantLength = event.tenantEnd - event.tenantStart
    const typeLength = event.typeEnd - event.typeStart
    const key = new Uint8Array(tenantLength + typeLength + event.subjectEnd - event.subjectStart)
    key.set(bytes.subarray(event.tenantStart, event.tenantEnd))
    key.set(bytes.subarray(event.typeStart, event.typeEnd), tenantLength)
    key.set(bytes.subarray(event.subjectStart, event.subjectEnd), tenantLength + typeLength)
    const text = Buffer.from(key.buffer)
    const tenant = text.toString('utf8', 0, tenantLength)
    const type = text.toString('utf8', tenantLength, tenantLength + typeLength)
    return {
      key,
      tenantLength,
      typeLength,
      type: this.#typeOf(tenant, type),
      firstMs: event.timeMs,
      lastMs: event.timeMs,
      next,
    }
  }

  #typeOf(tenant: string, type: string): TypeEntry {
    const key = JSON.stringify([tenant, type])
    let entry = this.#types.get(key)
    if (entry === undefined) {
      entry = { tenant, type, ends: new Map(), lastKey: NaN, lastEnd: 0 }
      this.#types.set(key, entry)
    }
    return entry
  }
}

function hashOf(event: PackWalker, seed: number): number {
  const { bytes } = event
  let hash = seed
  // The casts are for the type checker: the spans lie in `bytes`.
  for (let i = event.tenantStart; i < event.tenantEnd; i++)
    hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  for (let i = event.typeStart; i < event.typeEnd; i++)
    hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  for (let i = event.subjectStart; i < event.subjectEnd; i++)
    hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  return hash
}

function isOf(entry: SubjectEntry, event: PackWalker): boolean {
  const { key, tenantLength, typeLength } = entry
  return (
    tenantLength === event.tenantEnd - event.tenantStart &&
    typeLength === event.typeEnd - event.typeStart &&
    key.length === tenantLength + typeLength + event.subjectEnd - event.subjectStart &&
    same(key, 0, event.bytes, event.tenantStart, event.tenantEnd) &&
    same(key, tenantLength, event.bytes, event.typeStart, event.typeEnd) &&
    same(key, tenantLength + typeLength, event.bytes, event.subjectStart, event.subjectEnd)
  )
}

function same(key: Uint8Array, from: number, bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start, j = from; i < end; i++, j++) if (key[j] !== bytes[i]) return false
  return true
}
