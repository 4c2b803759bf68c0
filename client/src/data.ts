import { isSafeNumber } from './number.ts'
import { type Refusal, refusal } from './refusal.ts'

/** Quantities are decimal strings, bigints (sent as decimal strings) or numbers that JSON carries exactly. */
export type DataValue = string | number | bigint | boolean | null | readonly DataValue[] | EventData

/** An undefined member is left out, as JSON does. */
export interface EventData {
  readonly [key: string]: DataValue | undefined
}

/** The server's bounds of `data`; lengths in UTF-16 code units. */
const DATA_LIMITS = {
  depthMax: 8,
  propertiesMax: 64,
  pathCharsMax: 255,
  valueCharsMax: 65_536,
} as const
const { depthMax, propertiesMax, pathCharsMax, valueCharsMax } = DATA_LIMITS

const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype'])
const CONTROL = /\p{Cc}/u
const LONE_SURROGATE = /[\ud800-\udfff]/u

export type EncodedData =
  { readonly kind: 'text'; readonly text: string } | { readonly kind: 'refused'; readonly refusal: Refusal }

/** Carries a refusal out of the walk; never leaves this file. */
class Refused extends Error {
  readonly refusal: Refusal
  constructor(...parts: Parameters<typeof refusal>) {
    super(parts[0])
    this.refusal = refusal(...parts)
  }
}

/** `data` as JSON text, or the first thing in it that the server would refuse. */
export function encodeData(data: unknown): EncodedData {
  try {
    if (!isPlainObject(data)) {
      throw new Refused('unsupportedData', '"data" must be a plain object or absent.', '/data')
    }
    const paths = new Set<string>()
    return { kind: 'text', text: encodeObject(data, { pointer: '/data', path: '', depth: 1 }, paths) }
  } catch (error) {
    if (error instanceof Refused) return { kind: 'refused', refusal: error.refusal }
    throw error
  }
}

interface Place {
  readonly pointer: string
  /** Names of the keys down to here, joined by dots: what a meter calls the property. */
  readonly path: string
  readonly depth: number
}

function encodeObject(value: object, { pointer, path, depth }: Place, paths: Set<string>): string {
  if (depth > depthMax) {
    throw new Refused('tooDeep', `"data" is nested deeper than ${depthMax} levels.`, pointer)
  }
  const members: string[] = []
  for (const [key, member] of Object.entries(value) as [string, unknown][]) {
    if (member === undefined) continue
    const place: Place = {
      pointer: `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`,
      path: path === '' ? key : `${path}.${key}`,
      depth: depth + 1,
    }
    checkKey(key, place, paths)
    members.push(`${JSON.stringify(key)}:${encodeValue(member, place, paths)}`)
  }
  return `{${members.join(',')}}`
}

function checkKey(key: string, { pointer, path }: Place, paths: Set<string>): void {
  if (FORBIDDEN_KEYS.has(key)) {
    throw new Refused('forbiddenKey', `A key of "data" cannot be "${key}".`, pointer)
  }
  if (key === '' || CONTROL.test(key) || LONE_SURROGATE.test(key) || path.length > pathCharsMax) {
    const what = `is empty, has characters that cannot be sent, or its path is longer than ${pathCharsMax}`
    throw new Refused('invalidKey', `A key of "data" ${what}.`, pointer)
  }
  if (paths.has(path)) {
    throw new Refused('ambiguousKey', `Two keys of "data" have the dotted path "${path}".`, pointer)
  }
  paths.add(path)
  if (paths.size > propertiesMax) {
    throw new Refused('tooManyProperties', `"data" has more than ${propertiesMax} keys.`, '/data')
  }
}

function encodeValue(value: unknown, place: Place, paths: Set<string>): string {
  const { pointer, path, depth } = place
  switch (typeof value) {
    case 'string':
      if (LONE_SURROGATE.test(value)) {
        throw new Refused('invalidText', 'A text holds half of a surrogate pair.', pointer)
      }
      if (value.length > valueCharsMax) throw tooLong(pointer)
      return JSON.stringify(value)
    case 'number':
      if (!isSafeNumber(value)) throw unsafeNumber(value, pointer)
      return JSON.stringify(value)
    case 'bigint':
      return `"${value}"`
    case 'boolean':
      return value ? 'true' : 'false'
    default:
  }
  if (value === null) return 'null'
  if (Array.isArray(value)) {
    if (depth > depthMax) {
      throw new Refused('tooDeep', `"data" is nested deeper than ${depthMax} levels.`, pointer)
    }
    const items = value.map((item: unknown, i) =>
      encodeValue(item, { pointer: `${pointer}/${i}`, path: `${path}[${i}]`, depth: depth + 1 }, paths),
    )
    const text = `[${items.join(',')}]`
    if (text.length > valueCharsMax) throw tooLong(pointer)
    return text
  }
  if (isPlainObject(value)) return encodeObject(value, place, paths)
  const found = typeof value === 'object' ? 'an object that is not plain' : typeof value
  throw new Refused('unsupportedData', `JSON cannot carry ${found}; send text or a number.`, pointer)
}

function tooLong(pointer: string): Refused {
  return new Refused('valueTooLong', `The value is longer than ${valueCharsMax} characters.`, pointer)
}

function unsafeNumber(value: number, pointer: string): Refused {
  const hint = Number.isFinite(value)
    ? `Send a decimal string or a bigint, or round it first: (${value}).toFixed(6).`
    : 'It is not a quantity.'
  return new Refused(
    'unsafeNumber',
    `${value} is not a number that JSON carries exactly (15 significant digits, below 2^53). ${hint}`,
    pointer,
  )
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
