import type { PackEncoder } from '../usage/pack-encoder.ts'
import { exactNumberText } from './number-text.ts'
import { EVENT_LIMITS, type RejectionCode } from './rejection.ts'

const { depthMax, pathCharsMax, propertiesMax, valueCharsMax } = EVENT_LIMITS

/**
 * Writes `data` flat into the event that is being encoded: nested objects as dotted paths, numbers as exact plain
 * decimal text, booleans as `true`/`false`, arrays as their JSON text; null members are left out.
 * Returns the first fault met; the caller then drops the event.
 */
export function encodeProperties(data: unknown, into: PackEncoder): RejectionCode | null {
  if (data === null) return null
  if (typeof data !== 'object' || Array.isArray(data)) return 'unsupportedData'
  beginWalk()
  const fault = encodeObject(data as JsonObject, '', 1, into)
  return fault ?? (walk.dotted && hasAmbiguousPath(data as JsonObject) ? 'ambiguousKey' : null)
}

type JsonObject = Readonly<Record<string, unknown>>

/** State of the one walk that can be under way. */
const walk = { keys: 0, dotted: false }

function beginWalk(): void {
  walk.keys = 0
  walk.dotted = false
}

function encodeObject(
  object: JsonObject,
  prefix: string,
  depth: number,
  into: PackEncoder,
): RejectionCode | null {
  for (const key in object) {
    const keyFault = judgeKey(key)
    if (keyFault !== null) return keyFault
    if (++walk.keys > propertiesMax) return 'tooManyProperties'
    const value = object[key]
    const path = prefix === '' ? key : `${prefix}.${key}`
    if (path.length > pathCharsMax) return 'invalidKey'
    switch (typeof value) {
      case 'string':
        if (value.length > valueCharsMax) return 'valueTooLong'
        into.property(path, value)
        break
      case 'number': {
        const text = exactNumberText(value)
        if (text === null) return 'unsafeNumber'
        into.property(path, text)
        break
      }
      case 'boolean':
        into.property(path, value ? 'true' : 'false')
        break
      default: {
        if (value === null || value === undefined) break
        if (Array.isArray(value)) {
          const fault = judgeArray(value, depth + 1)
          if (fault !== null) return fault
          const text = JSON.stringify(value)
          if (text.length > valueCharsMax) return 'valueTooLong'
          into.property(path, text)
          break
        }
        if (depth >= depthMax) return 'tooDeep'
        const fault = encodeObject(value as JsonObject, path, depth + 1, into)
        if (fault !== null) return fault
      }
    }
  }
  return null
}

// A control character in a path would end up in column names of exports and in logs.
const CONTROL = /\p{Cc}/u
const GOOD = 0
const DOTTED = 1
const FORBIDDEN = 2
const INVALID = 3
const KEYS_REMEMBERED_MAX = 4096
/** What was found out about keys seen before; the keys of a service's events are few. */
const judgedKeys = new Map<string, number>()

function judgeKey(key: string): RejectionCode | null {
  let verdict = judgedKeys.get(key)
  if (verdict === undefined) {
    if (key === '__proto__' || key === 'constructor' || key === 'prototype') verdict = FORBIDDEN
    else if (key === '' || CONTROL.test(key)) verdict = INVALID
    else verdict = key.includes('.') ? DOTTED : GOOD
    if (judgedKeys.size >= KEYS_REMEMBERED_MAX) judgedKeys.clear()
    if (key.length <= pathCharsMax) judgedKeys.set(key, verdict)
  }
  if (verdict === GOOD) return null
  if (verdict === FORBIDDEN) return 'forbiddenKey'
  if (verdict === INVALID) return 'invalidKey'
  walk.dotted = true
  return null
}

/** Arrays are kept as text; what is in them must still be exact, shallow and harmless. */
function judgeArray(array: readonly unknown[], depth: number): RejectionCode | null {
  if (depth > depthMax) return 'tooDeep'
  if (array.length > valueCharsMax / 2) return 'valueTooLong'
  for (const value of array) {
    if (typeof value === 'number') {
      if (exactNumberText(value) === null) return 'unsafeNumber'
    } else if (typeof value === 'object' && value !== null) {
      const fault = Array.isArray(value)
        ? judgeArray(value, depth + 1)
        : judgeObjectInArray(value as JsonObject, depth + 1)
      if (fault !== null) return fault
    }
  }
  return null
}

function judgeObjectInArray(object: JsonObject, depth: number): RejectionCode | null {
  if (depth > depthMax) return 'tooDeep'
  for (const key in object) {
    const keyFault = judgeKey(key)
    if (keyFault !== null) return keyFault
    if (++walk.keys > propertiesMax) return 'tooManyProperties'
    const fault = judgeArray([object[key]], depth)
    if (fault !== null) return fault
  }
  return null
}

/** Only asked where a key has a dot of its own: without one, two paths cannot be the same. */
function hasAmbiguousPath(data: JsonObject): boolean {
  const seen = new Set<string>()
  const visit = (object: JsonObject, prefix: string): boolean => {
    for (const key in object) {
      const value = object[key]
      if (value === null) continue
      const path = prefix === '' ? key : `${prefix}.${key}`
      if (typeof value === 'object' && !Array.isArray(value)) {
        if (visit(value as JsonObject, path)) return true
      } else if (seen.has(path)) return true
      else seen.add(path)
    }
    return false
  }
  return visit(data, '')
}
