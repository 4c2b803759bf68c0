/**
 * JSON, read from its bytes without making a string or an object of it: half the cost of JSON.parse, the text of
 * numbers and repeated keys are still there, and keys with escapes are what they say (JSON.parse of V8 13 and 14
 * takes them for keys of objects seen before, nodejs/node#63785). The tape has three words for every value and
 * every key, in document order: the kind, and two that depend on it.
 *
 * - OBJECT, ARRAY: first byte, and the index on the tape behind the container's END
 * - END: the byte behind the closing bracket
 * - texts: first byte and the byte behind the last, without the quotes; a key is a text before its value
 * - numbers and literals: first byte and the byte behind the last
 */
export const OBJECT = 1
export const ARRAY = 2
export const END = 3
/** A text of printable ASCII without escapes: its bytes are its value, and no control character is among them. */
export const PLAIN_TEXT = 4
/** A text without escapes that has other characters. */
export const WIDE_TEXT = 5
/** A text with escapes. */
export const ESCAPED_TEXT = 6
/** A number that is its own plain decimal text: at most 15 digits, no exponent, no needless zero, not `-0`. */
export const PLAIN_NUMBER = 7
/** Any other number. */
export const NUMBER = 8
export const TRUE = 9
export const FALSE = 10
export const NULL = 11

/** Words per entry of the tape. */
export const STRIDE = 3

/** Deeper nesting is refused before anything is judged; what events may have is far below. */
export const NESTING_MAX = 128

/** Significant digits that every double carries, so that no client's JSON library has changed the number. */
const DIGITS_MAX = 15

const WORDS_AT_START = 24_576
/** Words kept between documents; a larger tape was made by one unusual body and is given back. */
const WORDS_KEPT_MAX = 1_048_576

/** Where a document ceases to be JSON, or nests deeper than NESTING_MAX. */
export interface JsonFault {
  readonly at: number
  readonly isTooDeep: boolean
}

export class JsonTape {
  #words = new Int32Array(WORDS_AT_START)
  #bytes: Buffer = Buffer.alloc(0)
  readonly #containers = new Int32Array(NESTING_MAX + 1)

  /** The tape; valid until the next document is read. */
  get words(): Int32Array {
    return this.#words
  }

  /** The document that was read last. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** The value of the text at `at`; not for other kinds. Escapes may make it ill-formed: half a surrogate pair. */
  text(at: number): string {
    const start = this.#words[at + 1] as number
    const end = this.#words[at + 2] as number
    switch (this.#words[at]) {
      case PLAIN_TEXT:
        return this.#bytes.toString('latin1', start, end)
      case ESCAPED_TEXT:
        // A lone text has no key, so JSON.parse can be asked (nodejs/node#63785).
        return JSON.parse(this.#bytes.toString('utf8', start - 1, end + 1)) as string
      default:
        return this.#bytes.toString('utf8', start, end)
    }
  }

  /** A number or literal as it is spelled. */
  spelling(at: number): string {
    return this.#bytes.toString('latin1', this.#words[at + 1], this.#words[at + 2])
  }

  /** Reads a whole document. Takes exactly what JSON.parse takes, given that the bytes are valid UTF-8. */
  read(bytes: Uint8Array): JsonFault | null {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (this.#words.length > WORDS_KEPT_MAX) this.#words = new Int32Array(WORDS_AT_START)
    for (;;) {
      const end = scan(bytes, this.#words, this.#containers)
      if (end === NO_ROOM) this.#words = new Int32Array(this.#words.length * 2)
      else return end >= 0 ? null : { at: (-1 - end) >>> 1, isTooDeep: ((-1 - end) & 1) === 1 }
    }
  }
}

export function isText(kind: number | undefined): boolean {
  return kind === PLAIN_TEXT || kind === WIDE_TEXT || kind === ESCAPED_TEXT
}

/** The index of the value behind the one at `at`. */
export function nextValue(words: Int32Array, at: number): number {
  const kind = words[at] as number
  return kind === OBJECT || kind === ARRAY ? (words[at + 2] as number) : at + STRIDE
}

const NO_ROOM = -0x80000000

/** A fault at a byte, as a negative number; the lowest bit says that it is the depth. */
function fault(at: number): number {
  return -1 - at * 2
}

/**
 * One loop over local variables on purpose: as methods on the tape's fields the same steps take half as long again.
 * @returns the length of the document, a fault, or NO_ROOM when the tape must be longer
 */
function scan(bytes: Uint8Array, words: Int32Array, containers: Int32Array): number {
  const length = bytes.length
  const room = words.length - 2 * STRIDE
  let top = 0
  let at = 0
  let c = 0
  let depth = 0
  let opened = 0
  let isInObject = false
  let isKey = false
  for (;;) {
    while (at < length && ((c = bytes[at] as number) === 0x20 || c === 0x0a || c === 0x0d || c === 0x09)) at++
    if (at >= length) return fault(at)
    if (top > room) return NO_ROOM
    if (c === 0x22) {
      const start = ++at
      let kind = PLAIN_TEXT
      for (;;) {
        while (at < length) {
          c = bytes[at] as number
          if (c === 0x22 || c === 0x5c || c < 0x20 || c > 0x7e) break
          at++
        }
        if (at >= length) return fault(at)
        if (c === 0x22) break
        if (c < 0x20) return fault(at)
        if (c === 0x5c) {
          const end = escapeEnd(bytes, at)
          if (end === 0) return fault(at)
          kind = ESCAPED_TEXT
          at = end
        } else {
          if (kind === PLAIN_TEXT) kind = WIDE_TEXT
          at++
        }
      }
      words[top] = kind
      words[top + 1] = start
      words[top + 2] = at++
      top += STRIDE
      if (isKey) {
        while (at < length && ((c = bytes[at] as number) === 0x20 || c === 0x0a || c === 0x0d || c === 0x09))
          at++
        if (at >= length || c !== 0x3a) return fault(at)
        at++
        isKey = false
        continue
      }
    } else if (isKey) {
      return fault(at)
    } else if (c === 0x7b || c === 0x5b) {
      if (depth === NESTING_MAX) return fault(at) - 1
      containers[++depth] = opened = top
      isInObject = c === 0x7b
      words[top] = isInObject ? OBJECT : ARRAY
      words[top + 1] = at++
      top += STRIDE
      while (at < length && ((c = bytes[at] as number) === 0x20 || c === 0x0a || c === 0x0d || c === 0x09))
        at++
      if (at >= length) return fault(at)
      if (c !== (isInObject ? 0x7d : 0x5d)) {
        isKey = isInObject
        continue
      }
    } else if (c === 0x2d || (c >= 0x30 && c <= 0x39)) {
      const start = at++
      while (at < length && (c = bytes[at] as number) >= 0x30 && c <= 0x39) at++
      const isWhole = at >= length || (c !== 0x2e && (c | 0x20) !== 0x65)
      if (isWhole && at - start <= DIGITS_MAX && isCanonicalWhole(bytes, start, at)) words[top] = PLAIN_NUMBER
      else {
        at = numberEnd(bytes, start, length)
        if (at < 0) return at
        words[top] = isPlainNumber(bytes, start, at) ? PLAIN_NUMBER : NUMBER
      }
      words[top + 1] = start
      words[top + 2] = at
      top += STRIDE
    } else {
      const word = c === 0x74 ? TRUE_BYTES : c === 0x66 ? FALSE_BYTES : c === 0x6e ? NULL_BYTES : null
      if (word === null || !holds(bytes, at, word)) return fault(at)
      words[top] = c === 0x74 ? TRUE : c === 0x66 ? FALSE : NULL
      words[top + 1] = at
      at += word.length
      words[top + 2] = at
      top += STRIDE
    }
    for (;;) {
      while (at < length && ((c = bytes[at] as number) === 0x20 || c === 0x0a || c === 0x0d || c === 0x09))
        at++
      if (depth === 0) return at === length ? at : fault(at)
      if (at >= length) return fault(at)
      if (c === 0x2c) {
        at++
        isKey = isInObject
        break
      }
      if (c !== (isInObject ? 0x7d : 0x5d)) return fault(at)
      if (top > room) return NO_ROOM
      words[top] = END
      words[top + 1] = ++at
      top += STRIDE
      words[opened + 2] = top
      opened = containers[--depth] as number
      isInObject = depth > 0 && words[opened] === OBJECT
    }
  }
}

const TRUE_BYTES = Buffer.from('true')
const FALSE_BYTES = Buffer.from('false')
const NULL_BYTES = Buffer.from('null')

function holds(bytes: Uint8Array, at: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return false
  return true
}

/** Whether the digits, with a minus or not, are a JSON number in its one form: no leading zero, not `-0`. */
function isCanonicalWhole(bytes: Uint8Array, start: number, end: number): boolean {
  const c = bytes[start] as number
  if (c !== 0x2d) return c !== 0x30 || end === start + 1
  return end > start + 1 && bytes[start + 1] !== 0x30
}

/** The end of the number by JSON's grammar, or a fault. */
function numberEnd(bytes: Uint8Array, start: number, length: number): number {
  const first = bytes[start] === 0x2d ? start + 1 : start
  let at = digitsEnd(bytes, first, length)
  if (at === first || (at > first + 1 && bytes[first] === 0x30)) return fault(first)
  if (at < length && bytes[at] === 0x2e) {
    const fraction = at + 1
    at = digitsEnd(bytes, fraction, length)
    if (at === fraction) return fault(at)
  }
  if (at < length && ((bytes[at] as number) | 0x20) === 0x65) {
    let exponent = at + 1
    if (exponent < length && (bytes[exponent] === 0x2d || bytes[exponent] === 0x2b)) exponent++
    at = digitsEnd(bytes, exponent, length)
    if (at === exponent) return fault(at)
  }
  return at
}

function digitsEnd(bytes: Uint8Array, from: number, length: number): number {
  let at = from
  while (at < length && (bytes[at] as number) >= 0x30 && (bytes[at] as number) <= 0x39) at++
  return at
}

function isPlainNumber(bytes: Uint8Array, start: number, end: number): boolean {
  let digits = 0
  let hasPoint = false
  for (let at = start; at < end; at++) {
    const c = bytes[at] as number
    if (c >= 0x30 && c <= 0x39) digits++
    else if (c === 0x2e) hasPoint = true
    else if (c !== 0x2d) return false
  }
  if (digits > DIGITS_MAX) return false
  return hasPoint ? bytes[end - 1] !== 0x30 : isCanonicalWhole(bytes, start, end)
}

/** The position behind the escape that begins at `at`; 0 when it is none. */
function escapeEnd(bytes: Uint8Array, at: number): number {
  switch (bytes[at + 1]) {
    case 0x22: // "
    case 0x5c: // \
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 2
    case 0x75: // u and four hexadecimal digits
      for (let i = 2; i < 6; i++) if (!isHexDigit(bytes[at + i] ?? 0)) return 0
      return at + 6
    default:
      return 0
  }
}

function isHexDigit(c: number): boolean {
  const lower = c | 0x20
  return (c >= 0x30 && c <= 0x39) || (lower >= 0x61 && lower <= 0x66)
}
