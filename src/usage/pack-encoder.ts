import type { Instant } from '../time/instant.ts'

/** Magic byte 0 and the schema's id in the Confluent framing: `schemas/avro/usage-pack.v1.avsc` is id 1. */
const PACK_FRAME = Uint8Array.of(0, 0, 0, 0, 1)

/** Room kept in front of the events for the frame, `ingestedAt` and the count, which are known last. */
const HEADER_BYTES_MAX = PACK_FRAME.length + 10 + 5

/**
 * Writes events of one partition as an Avro `UsagePack` (`schemas/avro/usage-pack.v1.avsc`) straight into a growing
 * buffer, without an object per event: `beginEvent`, `property`…, then `endEvent` or `dropEvent`.
 * The bytes are those that a general Avro library writes for the same events, in one array block and one map block.
 */
export class PackEncoder {
  #bytes: Buffer
  #end = HEADER_BYTES_MAX
  #count = 0
  #eventStart = HEADER_BYTES_MAX
  #timeStart = 0
  #propertiesStart = 0
  #properties = 0
  #wellFormed = true

  constructor(bytesExpected = 4096) {
    this.#bytes = Buffer.allocUnsafe(bytesExpected + HEADER_BYTES_MAX)
  }

  /** Events that were ended. */
  get count(): number {
    return this.#count
  }

  /** Bytes of the events, the header left out. */
  get byteLength(): number {
    return this.#end - HEADER_BYTES_MAX
  }

  /** The buffer behind it; positions are valid until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** Where the event that is being written, or was written last, begins in `bytes`. */
  get eventStart(): number {
    return this.#eventStart
  }

  /** Where the time of that event begins; what is before it is the identity, the type and the subject. */
  get timeStart(): number {
    return this.#timeStart
  }

  /** The end of what was written. */
  get position(): number {
    return this.#end
  }

  /** False once a text of the event being written held half of a surrogate pair, which UTF-8 cannot say. */
  get isWellFormed(): boolean {
    return this.#wellFormed
  }

  /** Properties of the event being written. */
  get propertyCount(): number {
    return this.#properties
  }

  /** Begins an event; the texts that identify it must follow: tenant, source, id. */
  begin(): void {
    this.#eventStart = this.#end
    this.#wellFormed = true
  }

  /** Ends the envelope, after the texts of type and subject. */
  time(time: Instant): void {
    this.#reserve(11)
    this.#timeStart = this.#end
    this.#end = writeLong(this.#bytes, this.#end, time)
    this.#propertiesStart = this.#end++
    this.#properties = 0
  }

  /** Counts a property whose path and value were written as texts. */
  countProperty(): void {
    this.#properties++
  }

  /** The part of an event that identifies it. */
  beginEvent(tenant: string, source: string, id: string): void {
    this.begin()
    this.text(tenant)
    this.text(source)
    this.text(id)
  }

  /** The rest of the envelope; must follow `beginEvent`. */
  describeEvent(type: string, subject: string, time: Instant): void {
    this.text(type)
    this.text(subject)
    this.time(time)
  }

  property(path: string, value: string): void {
    this.text(path)
    this.text(value)
    this.#properties++
  }

  endEvent(): void {
    this.#reserve(6)
    const bytes = this.#bytes
    const start = this.#propertiesStart
    const count = this.#properties
    if (count === 0) bytes[start] = 0
    else {
      if (count < 64) bytes[start] = count << 1
      else {
        const width = longWidth(count)
        bytes.copyWithin(start + width, start + 1, this.#end)
        writeLong(bytes, start, count)
        this.#end += width - 1
      }
      bytes[this.#end++] = 0
    }
    this.#count++
  }

  /** Forgets the event that was begun and not ended. */
  dropEvent(): void {
    this.#end = this.#eventStart
  }

  /** Takes the event that was ended last back. Once only, and before another begins. */
  takeBackEvent(): void {
    this.#end = this.#eventStart
    this.#count--
  }

  /**
   * The whole record: frame and pack, in memory of its own. `bodyOffset` says how far the events moved to the front,
   * so that a position in `bytes` can be found again in the record.
   */
  seal(ingestedAt: Instant): { readonly record: Uint8Array; readonly bodyOffset: number } {
    this.#reserve(1)
    const bytes = this.#bytes
    const headerLength =
      PACK_FRAME.length + longWidth(ingestedAt) + (this.#count === 0 ? 0 : longWidth(this.#count))
    const start = HEADER_BYTES_MAX - headerLength
    bytes.set(PACK_FRAME, start)
    const at = writeLong(bytes, start + PACK_FRAME.length, ingestedAt)
    if (this.#count > 0) writeLong(bytes, at, this.#count)
    bytes[this.#end++] = 0
    return { record: Uint8Array.prototype.slice.call(bytes, start, this.#end), bodyOffset: start }
  }

  /** Begins anew in the same buffer. */
  reset(): void {
    this.#end = HEADER_BYTES_MAX
    this.#eventStart = HEADER_BYTES_MAX
    this.#count = 0
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + bytes))
    grown.set(this.#bytes.subarray(0, this.#end))
    this.#bytes = grown
  }

  /** An Avro string of the UTF-8 in `source[from, to)`. A loop beats the native copy up to some 64 bytes. */
  textBytes(source: Uint8Array, from: number, to: number): void {
    const length = to - from
    if (this.#end + length + 5 > this.#bytes.length) this.#reserve(length + 5)
    const bytes = this.#bytes
    let at = this.#end
    if (length < 64) {
      bytes[at++] = length << 1
      for (let i = from; i < to; i++) bytes[at++] = source[i] as number
      this.#end = at
      return
    }
    at = writeLong(bytes, at, length)
    bytes.set(source.subarray(from, to), at)
    this.#end = at + length
  }

  /** An Avro string: byte length, then UTF-8. Short ASCII, nearly everything, is written in one pass. */
  text(text: string): void {
    const length = text.length
    this.#reserve(3 * length + 5)
    const bytes = this.#bytes
    const start = this.#end
    if (length < 64) {
      let at = start + 1
      let code = 0
      for (let i = 0; i < length; i++) {
        code = text.charCodeAt(i)
        if (code > 0x7f) break
        bytes[at++] = code
      }
      if (code <= 0x7f) {
        bytes[start] = length << 1
        this.#end = at
        return
      }
    }
    if (!text.isWellFormed()) this.#wellFormed = false
    const at = writeLong(bytes, start, Buffer.byteLength(text, 'utf8'))
    this.#end = at + bytes.write(text, at, 'utf8')
  }
}

/** Avro long: zigzag, then seven bits a byte, the lowest first. Returns the end. */
function writeLong(bytes: Uint8Array, at: number, value: number): number {
  if (value >= 0 && value < 0x40000000) {
    let n = value << 1
    while (n > 0x7f) {
      bytes[at++] = (n & 0x7f) | 0x80
      n >>>= 7
    }
    bytes[at++] = n
    return at
  }
  // Doubles carry whole numbers to 2^53; the zigzag of a time in milliseconds stays far below.
  let n = value < 0 ? -value * 2 - 1 : value * 2
  while (n > 0x7f) {
    bytes[at++] = (n % 0x80) | 0x80
    n = Math.floor(n / 0x80)
  }
  bytes[at++] = n
  return at
}

function longWidth(value: number): number {
  let n = value < 0 ? -value * 2 - 1 : value * 2
  let width = 1
  while (n > 0x7f) {
    n = Math.floor(n / 0x80)
    width++
  }
  return width
}
