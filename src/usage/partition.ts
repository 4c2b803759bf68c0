/**
 * Which partition an identity lives in. `murmur2(utf8(tenant \0 source \0 id)) mod partitions`, with the hash that
 * Kafka's own partitioner uses. It never changes within an epoch: all copies of an identity meet in one partition,
 * so their order there says which one came first.
 */
export function partitionOf(tenant: string, source: string, id: string, partitions: number): number {
  return partitionOfHash(identityHash(tenant, source, id), partitions)
}

/** The partition of a hash: the sign bit is dropped, as Kafka does. */
export function partitionOfHash(hash: number, partitions: number): number {
  return (hash & 0x7fffffff) % partitions
}

/** The signed 32-bit hash of an identity. Not keyed: whoever uses it for a table must bound its chains. */
export function identityHash(tenant: string, source: string, id: string): number {
  const roomNeeded = 3 * (tenant.length + source.length + id.length) + 2
  if (roomNeeded > scratch.length) scratch = Buffer.allocUnsafe(roomNeeded * 2)
  let end = writeUtf8(tenant, 0)
  scratch[end++] = 0
  end = writeUtf8(source, end)
  scratch[end++] = 0
  end = writeUtf8(id, end)
  return murmur2(scratch, end)
}

/** The same hash from bytes, for identities that were never made a string. One at a time: `begin`, twice `add…`, `hash`. */
export class IdentityHasher {
  #bytes = Buffer.alloc(1024)
  #end = 0
  #tenant = ''
  #tenantEnd = 0

  begin(tenant: string): void {
    if (tenant !== this.#tenant) {
      this.#reserve(0, 3 * tenant.length)
      this.#tenantEnd = this.#bytes.write(tenant, 0, 'utf8')
      this.#tenant = tenant
    }
    this.#end = this.#tenantEnd
  }

  /** Adds a part of the identity, valid UTF-8 in `source[from, to)`. */
  addBytes(source: Uint8Array, from: number, to: number): void {
    const bytes = this.#reserve(this.#end, to - from + 1)
    let at = this.#end
    bytes[at++] = 0
    if (to - from < 64) for (let i = from; i < to; i++) bytes[at++] = source[i] as number
    else {
      bytes.set(source.subarray(from, to), at)
      at += to - from
    }
    this.#end = at
  }

  addText(text: string): void {
    const bytes = this.#reserve(this.#end, 3 * text.length + 1)
    bytes[this.#end++] = 0
    this.#end += bytes.write(text, this.#end, 'utf8')
  }

  hash(): number {
    return murmur2(this.#bytes, this.#end)
  }

  #reserve(end: number, more: number): Buffer {
    if (end + more > this.#bytes.length) {
      const grown = Buffer.alloc((end + more) * 2)
      this.#bytes.copy(grown, 0, 0, end)
      this.#bytes = grown
    }
    return this.#bytes
  }
}

/** Grows with the longest identity seen; only ever used within one call. */
let scratch = Buffer.allocUnsafe(1024)

/** Most identities are short and ASCII, for which a loop beats a native call. Returns the end. */
function writeUtf8(text: string, from: number): number {
  const length = text.length
  const to = scratch
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return from + to.write(text, from, 'utf8')
    to[from + i] = code
  }
  return from + length
}

const SEED = 0x9747b28c
const M = 0x5bd1e995

/** MurmurHash2 of the first `length` bytes, as `org.apache.kafka.common.utils.Utils.murmur2` computes it. */
function murmur2(bytes: Uint8Array, length: number): number {
  let h = SEED ^ length
  let i = 0
  for (; i + 4 <= length; i += 4) {
    // The casts are for the type checker: i + 3 is below length.
    let k =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24)
    k = Math.imul(k, M)
    k ^= k >>> 24
    h = Math.imul(h, M) ^ Math.imul(k, M)
  }
  const left = length - i
  if (left === 3) h ^= (bytes[i + 2] as number) << 16
  if (left >= 2) h ^= (bytes[i + 1] as number) << 8
  if (left >= 1) h = Math.imul(h ^ (bytes[i] as number), M)
  h ^= h >>> 13
  h = Math.imul(h, M)
  return h ^ (h >>> 15)
}
