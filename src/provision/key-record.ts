import type { ApiKeyId, CustomerKey, QuotaKey, SubjectId, TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import type { Cause } from './cause.ts'
import type { Environment } from './key-format.ts'
import type { KeyState, Rate } from './key-state.ts'
import type { StringPool } from './string-pool.ts'

/** What many keys have in common; kept once for all of them. */
interface KeyTemplate {
  readonly tenant: TenantId
  readonly environment: Environment
  readonly scopes: readonly string[]
  readonly quotas: readonly QuotaKey[]
  readonly rate: Rate | null
  readonly ipRanges: readonly string[]
}

/** A key as the table holds it: all that a decision needs. The hash finds it, and the hint is made of the key. */
export type HeldKey = Omit<KeyState, 'kind' | 'hash' | 'hint' | 'createdAt'>

export interface Templates {
  idOf(state: KeyTemplate): number
  get(id: number): KeyTemplate
}

export function createTemplates(): Templates {
  const ids = new Map<string, number>()
  const all: KeyTemplate[] = []
  // Keys that are made by one program come one after another and are alike.
  let last = -1
  return {
    idOf(state) {
      const recent = all[last]
      if (recent !== undefined && sameTemplate(recent, state)) return last
      const { tenant, environment, scopes, quotas, rate, ipRanges } = state
      const text = JSON.stringify([tenant, environment, scopes, quotas, rate, ipRanges])
      const known = ids.get(text)
      if (known !== undefined) {
        last = known
        return known
      }
      ids.set(text, all.length)
      last = all.push({ tenant, environment, scopes, quotas, rate, ipRanges }) - 1
      return last
    },
    get(id) {
      const template = all[id]
      if (template === undefined) throw new RangeError(`no template ${id}`)
      return template
    },
  }
}

function sameTemplate(a: KeyTemplate, b: KeyTemplate): boolean {
  return (
    a.tenant === b.tenant &&
    a.environment === b.environment &&
    sameList(a.scopes, b.scopes) &&
    sameList(a.quotas, b.quotas) &&
    sameList(a.ipRanges, b.ipRanges) &&
    a.rate?.burst === b.rate?.burst &&
    a.rate?.requestsPerSecond === b.rate?.requestsPerSecond
  )
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index])
}

/** Bytes of the hash that identify a key: at 128 bits no two keys ever made have the same. */
export const HASH_BYTES = 16
const ID_AT = HASH_BYTES
const FLAGS_AT = ID_AT + 16
const VARINTS_AT = FLAGS_AT + 1
/** Version, template, name, customer, subject. */
const VARINTS = 5

const HAS_NOT_BEFORE = 1
const HAS_EXPIRY = 2
const IS_REVOKED = 4
/** Causes, successor or an id of another form follow as JSON. */
const HAS_TAIL = 8
const HAS_OTHER_ID = 16

interface Tail {
  readonly causes: readonly Cause[]
  readonly rotatedTo: ApiKeyId | null
  readonly keyId?: ApiKeyId
}

/**
 * Writes a key as bytes: 16 of its hash, 16 of its id, flags, numbers of 7 bits a byte, and instants only where
 * there are any.
 * @returns the length of the record
 */
export function encodeKey(into: Buffer, state: KeyState, strings: StringPool, templates: Templates): number {
  into.write(state.hash, 0, HASH_BYTES, 'base64url')
  const otherId = !packId(state.keyId, into, ID_AT)
  const tail = state.causes.length > 0 || state.rotatedTo !== null || otherId
  into[FLAGS_AT] =
    (state.notBefore === null ? 0 : HAS_NOT_BEFORE) |
    (state.expiresAt === null ? 0 : HAS_EXPIRY) |
    (state.revokedAt === null ? 0 : IS_REVOKED) |
    (tail ? HAS_TAIL : 0) |
    (otherId ? HAS_OTHER_ID : 0)
  let at = writeVarint(into, VARINTS_AT, state.version)
  at = writeVarint(into, at, templates.idOf(state))
  at = writeVarint(into, at, strings.intern(state.name))
  at = writeVarint(into, at, state.customer === null ? 0 : strings.intern(state.customer))
  at = writeVarint(into, at, state.subject === null ? 0 : strings.intern(state.subject))
  if (state.notBefore !== null) at = into.writeDoubleLE(state.notBefore, at)
  if (state.expiresAt !== null) at = into.writeDoubleLE(state.expiresAt, at)
  if (state.revokedAt !== null) at = into.writeDoubleLE(state.revokedAt, at)
  if (!tail) return at
  const rest: Tail = {
    causes: state.causes,
    rotatedTo: state.rotatedTo,
    ...(otherId ? { keyId: state.keyId } : {}),
  }
  const text = JSON.stringify(rest)
  at = writeVarint(into, at, Buffer.byteLength(text))
  return at + into.write(text, at)
}

/** Reads the key at an offset. What a decision does not look at is read when it is asked for. */
export function decodeKey(from: Buffer, start: number, strings: StringPool, templates: Templates): HeldKey {
  return new StoredKey(from, start, strings, templates)
}

/** The bytes of the record at an offset. */
export function recordLength(from: Buffer, start: number): number {
  const flags = from[start + FLAGS_AT] ?? 0
  const cursor = { from, at: start + VARINTS_AT }
  for (let i = 0; i < VARINTS; i++) readVarint(cursor)
  for (const flag of [HAS_NOT_BEFORE, HAS_EXPIRY, IS_REVOKED]) if ((flags & flag) !== 0) cursor.at += 8
  if ((flags & HAS_TAIL) !== 0) {
    const length = readVarint(cursor)
    cursor.at += length
  }
  return cursor.at - start
}

/** A record with the shape of a key. Getters stand on the prototype: an object literal of them costs a microsecond. */
class StoredKey implements HeldKey {
  readonly version: number
  readonly notBefore: Instant | null
  readonly expiresAt: Instant | null
  readonly revokedAt: Instant | null
  readonly customer: CustomerKey | null
  readonly subject: SubjectId | null
  readonly #template: KeyTemplate
  readonly #tail: Tail
  readonly #from: Buffer
  readonly #start: number
  readonly #strings: StringPool
  readonly #name: number

  constructor(from: Buffer, start: number, strings: StringPool, templates: Templates) {
    const flags = from[start + FLAGS_AT] ?? 0
    const cursor = { from, at: start + VARINTS_AT }
    this.version = readVarint(cursor)
    this.#template = templates.get(readVarint(cursor))
    this.#name = readVarint(cursor)
    const customer = readVarint(cursor)
    const subject = readVarint(cursor)
    this.customer = customer === 0 ? null : (strings.get(customer) as CustomerKey)
    this.subject = subject === 0 ? null : (strings.get(subject) as SubjectId)
    this.notBefore = (flags & HAS_NOT_BEFORE) === 0 ? null : readInstant(cursor)
    this.expiresAt = (flags & HAS_EXPIRY) === 0 ? null : readInstant(cursor)
    this.revokedAt = (flags & IS_REVOKED) === 0 ? null : readInstant(cursor)
    this.#tail = (flags & HAS_TAIL) === 0 ? NO_TAIL : readTail(cursor)
    this.#from = from
    this.#start = start
    this.#strings = strings
  }

  get tenant(): TenantId {
    return this.#template.tenant
  }
  get environment(): Environment {
    return this.#template.environment
  }
  get scopes(): readonly string[] {
    return this.#template.scopes
  }
  get quotas(): readonly QuotaKey[] {
    return this.#template.quotas
  }
  get rate(): Rate | null {
    return this.#template.rate
  }
  get ipRanges(): readonly string[] {
    return this.#template.ipRanges
  }
  get causes(): readonly Cause[] {
    return this.#tail.causes
  }
  get rotatedTo(): ApiKeyId | null {
    return this.#tail.rotatedTo
  }
  get name(): string {
    return this.#strings.get(this.#name)
  }
  get keyId(): ApiKeyId {
    return this.#tail.keyId ?? unpackId(this.#from, this.#start + ID_AT)
  }
}

/** The version alone: what an arriving state is compared by. */
export function versionAt(from: Buffer, start: number): number {
  return readVarint({ from, at: start + VARINTS_AT })
}

function readInstant(cursor: Cursor): Instant {
  cursor.at += 8
  return cursor.from.readDoubleLE(cursor.at - 8) as Instant
}

const NO_TAIL: Tail = { causes: [], rotatedTo: null }

interface Cursor {
  readonly from: Buffer
  at: number
}

function readTail(cursor: Cursor): Tail {
  const length = readVarint(cursor)
  cursor.at += length
  return JSON.parse(cursor.from.toString('utf8', cursor.at - length, cursor.at)) as Tail
}

function writeVarint(into: Buffer, at: number, value: number): number {
  let rest = value
  let next = at
  while (rest >= 0x80) {
    into[next++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  into[next++] = rest
  return next
}

function readVarint(cursor: Cursor): number {
  let value = 0
  let factor = 1
  for (;;) {
    const byte = cursor.from[cursor.at++] ?? 0
    value += (byte & 0x7f) * factor
    if (byte < 0x80) return value
    factor *= 0x80
  }
}

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const DIGITS = new Int8Array(128).fill(-1)
for (let digit = 0; digit < ALPHABET.length; digit++) DIGITS[ALPHABET.charCodeAt(digit)] = digit
const PREFIX = 'key_'
const ID_CHARS = 26

/** The 128 bits of `key_` and 26 characters of base32. False where the id is of another form. */
function packId(id: string, into: Buffer, at: number): boolean {
  if (id.length !== PREFIX.length + ID_CHARS || !id.startsWith(PREFIX)) return false
  let bits = 0
  let held = 0
  let next = at
  for (let i = PREFIX.length; i < id.length; i++) {
    const digit = DIGITS[id.charCodeAt(i)] ?? -1
    if (digit < 0) return false
    // 26 digits have 130 bits: the first carries three.
    if (i === PREFIX.length && digit > 7) return false
    bits = (bits << 5) | digit
    held += i === PREFIX.length ? 3 : 5
    if (held >= 8) {
      held -= 8
      into[next++] = (bits >>> held) & 0xff
      bits &= (1 << held) - 1
    }
  }
  return true
}

function unpackId(from: Buffer, at: number): ApiKeyId {
  let text = PREFIX
  let bits = 0
  let held = 2 // the two bits that 26 digits have more than 16 bytes
  for (let i = at; i < at + 16; i++) {
    bits = (bits << 8) | (from[i] ?? 0)
    held += 8
    while (held >= 5) {
      held -= 5
      text += ALPHABET[(bits >>> held) & 31] ?? ''
      bits &= (1 << held) - 1
    }
  }
  return text as ApiKeyId
}
