/** Confluent framing: magic byte 0 and the schema's id, big-endian. */
const PACK_SCHEMA_ID = 1
const HEADER_BYTES = 5

/** A record of the event topic that is not a well-formed pack. Nothing downstream can mend it. */
export class PackError extends Error {
  constructor(detail: string, at: number) {
    super(`malformed pack at byte ${at}: ${detail}`)
    this.name = 'PackError'
  }
}

/**
 * Walks the bytes of a usage pack (`schemas/avro/usage-pack.v1.avsc`, framed) without building objects: 150,000
 * events a second and more pass here, and text is only copied on. After `next()` the fields say where the event's
 * parts lie in `bytes`; they hold until the next call. Offsets are half-open `[Start, End)`.
 */
export class PackWalker {
  bytes: Uint8Array = new Uint8Array(0)
  /** When ingest accepted the pack, milliseconds. */
  ingestedAtMs = 0
  /** Position of the current event in the pack; -1 before the first. */
  index = -1
  tenantStart = 0
  tenantEnd = 0
  sourceStart = 0
  sourceEnd = 0
  idStart = 0
  idEnd = 0
  typeStart = 0
  typeEnd = 0
  subjectStart = 0
  subjectEnd = 0
  timeMs = 0
  propertyCount = 0
  /** Start and end of key, start and end of value, one property after the other: `4 * propertyCount` numbers count. */
  properties = new Int32Array(256)

  #at = 0
  /** Events left in the current Avro block. */
  #left = 0
  #done = true

  /** Starts on another record. @throws PackError when it is not framed as a pack of version 1 */
  open(record: Uint8Array): void {
    this.bytes = record
    this.index = -1
    this.#left = 0
    this.#done = false
    if (record.length < HEADER_BYTES || record[0] !== 0) throw new PackError('no Confluent frame', 0)
    const schema =
      (record[1] ?? 0) * 0x1000000 + (record[2] ?? 0) * 0x10000 + (record[3] ?? 0) * 0x100 + (record[4] ?? 0)
    if (schema !== PACK_SCHEMA_ID) throw new PackError(`schema ${schema}, only ${PACK_SCHEMA_ID} is known`, 1)
    this.#at = HEADER_BYTES
    this.ingestedAtMs = this.#long()
  }

  /** Moves to the next event; false behind the last one. @throws PackError */
  next(): boolean {
    if (this.#left === 0) {
      if (this.#done) return false
      this.#left = this.#blockCount()
      if (this.#left === 0) {
        this.#done = true
        if (this.#at !== this.bytes.length) throw new PackError('bytes behind the last event', this.#at)
        return false
      }
    }
    this.#left--
    this.index++
    this.tenantEnd = this.#text()
    this.tenantStart = this.#start
    this.sourceEnd = this.#text()
    this.sourceStart = this.#start
    this.idEnd = this.#text()
    this.idStart = this.#start
    this.typeEnd = this.#text()
    this.typeStart = this.#start
    this.subjectEnd = this.#text()
    this.subjectStart = this.#start
    this.timeMs = this.#long()
    this.#map()
    return true
  }

  #start = 0

  #map(): void {
    let count = 0
    for (let block = this.#blockCount(); block !== 0; block = this.#blockCount()) {
      if (block > this.bytes.length) throw new PackError('more properties than bytes', this.#at)
      if (4 * (count + block) > this.properties.length) {
        const larger = new Int32Array(8 * (count + block))
        larger.set(this.properties)
        this.properties = larger
      }
      for (let i = 0; i < block; i++, count++) {
        this.properties[4 * count + 1] = this.#text()
        this.properties[4 * count] = this.#start
        this.properties[4 * count + 3] = this.#text()
        this.properties[4 * count + 2] = this.#start
      }
    }
    this.propertyCount = count
  }

  /** Items of the next block; 0 ends an array or map. A negative count is followed by the block's size in bytes. */
  #blockCount(): number {
    const count = this.#long()
    if (count >= 0) return count
    this.#long()
    return -count
  }

  /** Passes over a string: its start is left in `#start`, its end is returned. */
  #text(): number {
    const length = this.#long()
    const start = this.#at
    if (length < 0 || start + length > this.bytes.length) throw new PackError('text beyond the end', start)
    this.#start = start
    this.#at = start + length
    return this.#at
  }

  /** A zigzag varint. Longs of more than 53 bits do not occur in a pack, so they are refused. */
  #long(): number {
    const bytes = this.bytes
    let at = this.#at
    let byte = bytes[at++] ?? this.#cutShort()
    if (byte < 0x80) {
      this.#at = at
      return (byte & 1) === 0 ? byte >> 1 : -(byte + 1) / 2
    }
    let value = byte & 0x7f
    let scale = 128
    do {
      byte = bytes[at++] ?? this.#cutShort()
      value += (byte & 0x7f) * scale
      scale *= 128
    } while (byte >= 0x80 && scale <= 2 ** 56)
    if (byte >= 0x80 || value > Number.MAX_SAFE_INTEGER) throw new PackError('number too large', this.#at)
    this.#at = at
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  #cutShort(): never {
    throw new PackError('it ends within a number', this.bytes.length)
  }
}
