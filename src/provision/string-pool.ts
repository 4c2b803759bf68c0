const CHUNK_BYTES = 1 << 20
const LOAD_MAX = 0.75
const GROWTH = 1.7
/** Strings that come in runs are found without touching their bytes. */
const RECENT_MAX = 4096

/** Strings kept once each as bytes: a million of them cost their UTF-8 and some seven bytes, not an object each. */
export interface StringPool {
  /** The reference of a string, the same for the same string. References fit into 32 bits and are never 0. */
  intern(text: string): number
  get(reference: number): string
  byteLength(): number
}

/** @throws RangeError for strings of more than 65,535 bytes */
export function createStringPool(): StringPool {
  const chunks: Buffer[] = [Buffer.alloc(CHUNK_BYTES)]
  // Reference 0 means nothing, so the first byte is wasted.
  let end = 1
  let count = 0
  const recent = new Map<string, number>()
  let index = new Uint32Array(1024)
  const scratch = Buffer.alloc(1 << 16)

  const chunkAt = (reference: number): Buffer => {
    const chunk = chunks[reference >>> 20]
    if (chunk === undefined) throw new RangeError(`no string at ${reference}`)
    return chunk
  }
  const lengthAt = (chunk: Buffer, at: number): number => chunk.readUInt16LE(at)
  const isScratch = (reference: number, length: number): boolean => {
    const chunk = chunkAt(reference)
    const at = reference & (CHUNK_BYTES - 1)
    return lengthAt(chunk, at) === length && scratch.compare(chunk, at + 2, at + 2 + length, 0, length) === 0
  }
  const insert = (table: Uint32Array, hash: number, reference: number): void => {
    let slot = hash % table.length
    while (table[slot] !== 0) slot = slot + 1 === table.length ? 0 : slot + 1
    table[slot] = reference
  }
  const grow = (): void => {
    const larger = new Uint32Array(Math.ceil(index.length * GROWTH))
    for (const reference of index) {
      if (reference === 0) continue
      const chunk = chunkAt(reference)
      const at = reference & (CHUNK_BYTES - 1)
      insert(larger, hashBytes(chunk, at + 2, lengthAt(chunk, at)), reference)
    }
    index = larger
  }
  const append = (length: number): number => {
    if ((end & (CHUNK_BYTES - 1)) + length + 2 > CHUNK_BYTES) {
      chunks.push(Buffer.alloc(CHUNK_BYTES))
      end = (chunks.length - 1) * CHUNK_BYTES
    }
    const reference = end
    const at = reference & (CHUNK_BYTES - 1)
    const chunk = chunkAt(reference)
    chunk.writeUInt16LE(length, at)
    scratch.copy(chunk, at + 2, 0, length)
    end += length + 2
    return reference
  }

  const lookUp = (text: string): number => {
    const length = Buffer.byteLength(text)
    if (length > 0xffff) throw new RangeError('a string of more than 65,535 bytes')
    scratch.write(text, 0, length)
    const hash = hashBytes(scratch, 0, length)
    let slot = hash % index.length
    for (let reference = index[slot] ?? 0; reference !== 0; reference = index[slot] ?? 0) {
      if (isScratch(reference, length)) return reference
      slot = slot + 1 === index.length ? 0 : slot + 1
    }
    const reference = append(length)
    index[slot] = reference
    if (++count > index.length * LOAD_MAX) grow()
    return reference
  }

  return {
    intern(text) {
      const before = recent.get(text)
      if (before !== undefined) return before
      const reference = lookUp(text)
      if (recent.size >= RECENT_MAX) recent.clear()
      recent.set(text, reference)
      return reference
    },
    get(reference) {
      const chunk = chunkAt(reference)
      const at = reference & (CHUNK_BYTES - 1)
      return chunk.toString('utf8', at + 2, at + 2 + lengthAt(chunk, at))
    },
    byteLength: () => chunks.length * CHUNK_BYTES + index.byteLength,
  }
}

/** FNV-1a: strings are short, and who chooses them may at worst slow down their own tenant's interning. */
function hashBytes(bytes: Buffer, from: number, length: number): number {
  let hash = 0x811c9dc5
  for (let i = from; i < from + length; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}
