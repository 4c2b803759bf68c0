/** Size of a piece; a row never spans two. The first ones are small: most writers hold a few rows. */
const CHUNK_BYTES_MIN = 1 << 14
const CHUNK_BYTES_MAX = 1 << 20
/** Up to this length a loop beats a native copy. */
const LOOP_BYTES_MAX = 24

/** Writes ClickHouse's RowBinary into growing pieces. Rows are begun with `reserve` and ended with `endRow`. */
export class RowWriter {
  #full: Uint8Array[] = []
  #chunk: Buffer = Buffer.alloc(0)
  #at = 0
  #rows = 0
  #chunkBytes = CHUNK_BYTES_MIN

  get rows(): number {
    return this.#rows
  }

  /** What was written, in pieces that end at rows. Bytes stay valid; nothing may be written afterwards. */
  chunks(): readonly Uint8Array[] {
    return this.#at === 0 ? this.#full : [...this.#full, this.#chunk.subarray(0, this.#at)]
  }

  /** A position to go back to with `rewind`, between rows. */
  mark(): WriterMark {
    return { pieces: this.#full.length, chunk: this.#chunk, at: this.#at, rows: this.#rows }
  }

  rewind(mark: WriterMark): void {
    this.#full.length = mark.pieces
    this.#chunk = mark.chunk
    this.#at = mark.at
    this.#rows = mark.rows
  }

  /** Makes room for a row of at most `bytes`. */
  reserve(bytes: number): void {
    if (this.#at + bytes <= this.#chunk.length) return
    if (this.#at > 0) this.#full.push(this.#chunk.subarray(0, this.#at))
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(this.#chunkBytes, bytes))
    this.#chunkBytes = Math.min(CHUNK_BYTES_MAX, this.#chunkBytes * 4)
    this.#at = 0
  }

  endRow(): void {
    this.#rows++
  }

  /** UTF-8 that lies in `from` between `start` and `end`. */
  text(from: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.count(length)
    const to = this.#chunk
    let at = this.#at
    if (length <= LOOP_BYTES_MAX) {
      // The cast is for the type checker: start..end lies in `from`.
      for (let i = start; i < end; i++) to[at++] = from[i] as number
      this.#at = at
    } else {
      to.set(from.subarray(start, end), at)
      this.#at = at + length
    }
  }

  string(value: string): void {
    const length = Buffer.byteLength(value)
    this.count(length)
    this.#at += this.#chunk.write(value, this.#at, 'utf8')
  }

  /** An unsigned LEB128: lengths of texts and maps. */
  count(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.#chunk[this.#at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#chunk[this.#at++] = rest
  }

  uint16(value: number): void {
    this.#at = this.#chunk.writeUInt16LE(value, this.#at)
  }

  uint32(value: number): void {
    this.#at = this.#chunk.writeUInt32LE(value, this.#at)
  }

  /** Whole numbers up to 2^53, also negative ones: Int64 and UInt64. */
  int64(value: number): void {
    const high = Math.floor(value / 0x1_0000_0000)
    this.#at = this.#chunk.writeUInt32LE(value - high * 0x1_0000_0000, this.#at)
    this.#at = this.#chunk.writeInt32LE(high, this.#at)
  }

  uint64Halves(low: number, high: number): void {
    this.#at = this.#chunk.writeUInt32LE(low, this.#at)
    this.#at = this.#chunk.writeUInt32LE(high, this.#at)
  }
}

export interface WriterMark {
  readonly pieces: number
  readonly chunk: Buffer
  readonly at: number
  readonly rows: number
}
