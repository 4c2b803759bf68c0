import type { PackEncoder } from '../usage/pack-encoder.ts'
import {
  ARRAY,
  END,
  ESCAPED_TEXT,
  FALSE,
  type JsonTape,
  NULL,
  nextValue,
  NUMBER,
  OBJECT,
  PLAIN_NUMBER,
  PLAIN_TEXT,
  STRIDE,
  TRUE,
  WIDE_TEXT,
} from './json-tape.ts'
import { exactNumberText } from './number-text.ts'
import { EVENT_LIMITS, firstInOrder, type RejectionCode } from './rejection.ts'

const { depthMax, pathCharsMax, propertiesMax, valueCharsMax } = EVENT_LIMITS

// A control character in a path would end up in column names of exports and in logs.
const CONTROL = /\p{Cc}/u
const FORBIDDEN = ['__proto__', 'constructor', 'prototype']
const FORBIDDEN_BYTES = FORBIDDEN.map((key) => Buffer.from(key))

/** State of the one walk that can be under way. */
let keyCount = 0
let hasDottedKey = false
let fault: RejectionCode | null = null
/** The keys of the objects that are open, by their place on the tape. */
const openKeys = new Int32Array(propertiesMax + 1)

function beginWalk(): void {
  keyCount = 0
  hasDottedKey = false
  fault = null
}

function note(code: RejectionCode): void {
  fault = fault === null ? code : firstInOrder(fault, code)
}

/**
 * Writes `data` flat into the event that is being encoded: nested objects as dotted paths, numbers as exact plain
 * decimal text, booleans as `true`/`false`, arrays as their JSON text; null members are left out.
 * Returns the first of its faults in the order of REJECTION_CODES; the caller then drops the event.
 * @param at the object of `data` on the tape; -1 where the event has none
 */
export function encodeProperties(tape: JsonTape, at: number, into: PackEncoder): RejectionCode | null {
  if (at < 0) return null
  beginWalk()
  encodeObject(tape, at, '', 1, 0, into)
  if (hasDottedKey && (fault === null || firstInOrder(fault, 'ambiguousKey') === 'ambiguousKey')) {
    if (hasAmbiguousPath(tape, at)) note('ambiguousKey')
  }
  return fault
}

function encodeObject(
  tape: JsonTape,
  at: number,
  prefix: string,
  depth: number,
  keysBelow: number,
  into: PackEncoder,
): void {
  const { words, bytes } = tape
  let keys = keysBelow
  for (let keyAt = at + STRIDE; words[keyAt] !== END;) {
    const valueAt = keyAt + STRIDE
    judgeKey(tape, keyAt, keysBelow, keys)
    if (keyCount <= propertiesMax) openKeys[keys++] = keyAt
    const kind = words[valueAt] as number
    const start = words[valueAt + 1] as number
    const end = words[valueAt + 2] as number
    switch (kind) {
      case PLAIN_TEXT:
      case WIDE_TEXT:
        if (end - start > valueCharsMax && (kind === PLAIN_TEXT || tape.text(valueAt).length > valueCharsMax))
          note('valueTooLong')
        else {
          writePath(tape, keyAt, prefix, into)
          into.textBytes(bytes, start, end)
        }
        break
      case PLAIN_NUMBER:
      case TRUE:
      case FALSE:
        writePath(tape, keyAt, prefix, into)
        into.textBytes(bytes, start, end)
        break
      case NULL:
        break
      case OBJECT: {
        if (depth >= depthMax) note('tooDeep')
        // A path that is too long has been noted; it must not grow with the nesting.
        const path = pathOf(tape, keyAt, prefix)
        encodeObject(tape, valueAt, path.length > pathCharsMax ? '' : path, depth + 1, keys, into)
        if (path.length > pathCharsMax) note('invalidKey')
        break
      }
      default: {
        const text =
          kind === ESCAPED_TEXT
            ? tape.text(valueAt)
            : kind === NUMBER
              ? numberText(tape, valueAt)
              : arrayText(tape, valueAt, depth + 1)
        if (text.length > valueCharsMax) note('valueTooLong')
        else {
          writePath(tape, keyAt, prefix, into)
          into.text(text)
        }
      }
    }
    keyAt = nextValue(words, valueAt)
  }
}

function pathOf(tape: JsonTape, keyAt: number, prefix: string): string {
  return prefix === '' ? tape.text(keyAt) : `${prefix}.${tape.text(keyAt)}`
}

function writePath(tape: JsonTape, keyAt: number, prefix: string, into: PackEncoder): void {
  into.countProperty()
  const start = tape.words[keyAt + 1] as number
  const end = tape.words[keyAt + 2] as number
  if (prefix === '' && tape.words[keyAt] === PLAIN_TEXT) {
    if (end - start > pathCharsMax) note('invalidKey')
    into.textBytes(tape.bytes, start, end)
    return
  }
  const path = pathOf(tape, keyAt, prefix)
  if (path.length > pathCharsMax) note('invalidKey')
  into.text(path)
}

/** Counts the key and checks it alone and against the keys of its object that came before, `openKeys[from, to)`. */
function judgeKey(tape: JsonTape, keyAt: number, from: number, to: number): void {
  if (++keyCount > propertiesMax) note('tooManyProperties')
  const { words, bytes } = tape
  const start = words[keyAt + 1] as number
  const end = words[keyAt + 2] as number
  if (words[keyAt] === PLAIN_TEXT) {
    if (start === end) note('invalidKey')
    for (let i = start; i < end; i++) if (bytes[i] === 0x2e) hasDottedKey = true
    for (const forbidden of FORBIDDEN_BYTES) {
      if (end - start === forbidden.length && sameBytes(bytes, start, forbidden, 0, end - start))
        note('forbiddenKey')
    }
  } else {
    const key = tape.text(keyAt)
    if (FORBIDDEN.includes(key)) note('forbiddenKey')
    if (key === '' || key.length > pathCharsMax || CONTROL.test(key)) note('invalidKey')
    if (key.includes('.')) hasDottedKey = true
  }
  for (let i = from; i < to; i++) if (isSameText(tape, openKeys[i] as number, keyAt)) note('duplicateKey')
}

/** Whether two texts of the tape have the same value, however they are spelled. */
export function isSameText(tape: JsonTape, a: number, b: number): boolean {
  const { words, bytes } = tape
  if (words[a] === ESCAPED_TEXT || words[b] === ESCAPED_TEXT) return tape.text(a) === tape.text(b)
  const length = (words[a + 2] as number) - (words[a + 1] as number)
  if (length !== (words[b + 2] as number) - (words[b + 1] as number)) return false
  return sameBytes(bytes, words[a + 1] as number, bytes, words[b + 1] as number, length)
}

export function sameBytes(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[aAt + i] !== b[bAt + i]) return false
  return true
}

function numberText(tape: JsonTape, at: number): string {
  const text = exactNumberText(tape.spelling(at))
  if (text === null) note('unsafeNumber')
  return text ?? ''
}

/** Arrays are kept as text, without blanks; what is in them must still be exact, shallow and harmless. */
function arrayText(tape: JsonTape, at: number, depth: number): string {
  if (depth > depthMax) note('tooDeep')
  const { words } = tape
  const parts: string[] = []
  const isObject = words[at] === OBJECT
  const keysBelow: number[] = []
  for (let child = at + STRIDE; words[child] !== END; child = nextValue(words, child)) {
    let key = ''
    if (isObject) {
      judgeKey(tape, child, 0, 0)
      if (keyCount <= propertiesMax) {
        if (keysBelow.some((other) => isSameText(tape, other, child))) note('duplicateKey')
        keysBelow.push(child)
      }
      key = `${JSON.stringify(tape.text(child))}:`
      child += STRIDE
    }
    parts.push(key + elementText(tape, child, depth))
  }
  return isObject ? `{${parts.join(',')}}` : `[${parts.join(',')}]`
}

function elementText(tape: JsonTape, at: number, depth: number): string {
  switch (tape.words[at]) {
    case PLAIN_TEXT:
    case WIDE_TEXT:
    case ESCAPED_TEXT:
      return JSON.stringify(tape.text(at))
    case NUMBER:
      return numberText(tape, at)
    case ARRAY:
    case OBJECT:
      return arrayText(tape, at, depth + 1)
    default:
      return tape.spelling(at)
  }
}

/** Only asked where a key has a dot of its own: without one, two paths cannot be the same. */
function hasAmbiguousPath(tape: JsonTape, data: number): boolean {
  const seen = new Set<string>()
  const { words } = tape
  const visit = (object: number, prefix: string): boolean => {
    for (let keyAt = object + STRIDE; words[keyAt] !== END; keyAt = nextValue(words, keyAt + STRIDE)) {
      const path = pathOf(tape, keyAt, prefix)
      const kind = words[keyAt + STRIDE]
      if (kind === NULL) continue
      if (kind === OBJECT) {
        if (visit(keyAt + STRIDE, path)) return true
      } else if (seen.has(path)) return true
      else seen.add(path)
    }
    return false
  }
  return visit(data, '')
}
