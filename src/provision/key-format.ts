import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const PREFIX_CHARS = 'tm_live_'.length
const SECRET_CHARS = 32 // 190 bits
const CHECKSUM_CHARS = 6 // 62 ** 6 > 2 ** 32
const OURS = /^tm_(?:live|test)_/
const WELL_FORMED = /^tm_(?:live|test)_[0-9A-Za-z]{38}$/

export const ENVIRONMENTS = ['live', 'test'] as const
/** What a key is for. The gate treats both alike; the services behind it need not. */
export type Environment = (typeof ENVIRONMENTS)[number]

/**
 * A new key: `tm_live_<32 base62><6 base62 of the CRC-32 of everything before>`. The checksum lets a garbled key
 * be refused, and a leaked one be recognised by a scanner, without asking anybody.
 * @param randomBytes a source of secure random bytes
 */
export function generateKey(
  randomBytes: (count: number) => Uint8Array,
  environment: Environment = 'live',
): string {
  const prefix = `tm_${environment}_`
  let secret = ''
  while (secret.length < SECRET_CHARS) {
    for (const byte of randomBytes(SECRET_CHARS)) {
      // 248 is the largest multiple of 62 below 256: the rest would favour the first characters.
      if (byte < 248 && secret.length < SECRET_CHARS) secret += BASE62[byte % 62] ?? ''
    }
  }
  return prefix + secret + checksum(prefix + secret)
}

/** Shape and checksum only: whether this can be a key at all. */
export function isWellFormedKey(presented: string): boolean {
  if (!WELL_FORMED.test(presented)) return false
  // The checksum is no secret: anybody can compute it, so comparing it needs no constant time.
  return presented.endsWith(checksum(presented.slice(0, -CHECKSUM_CHARS)))
}

/** Whether it claims to be a key of our own form; keys that were imported by their hash look like anything. */
export function hasOurPrefix(presented: string): boolean {
  return OURS.test(presented)
}

/** What is stored instead of the key: its SHA-256 in base64url, 43 characters. 190 random bits need no slow hash. */
export function hashKey(key: string): string {
  return hash('sha256', key, 'base64url')
}

/** What people may see of a key: enough to recognise it, far too little to use it. */
export function keyHint(key: string): string {
  return `${key.slice(0, PREFIX_CHARS + 4)}…${key.slice(-4)}`
}

function checksum(text: string): string {
  let value = crc32(text)
  let digits = ''
  for (let i = 0; i < CHECKSUM_CHARS; i++) {
    digits = (BASE62[value % 62] ?? '') + digits
    value = Math.floor(value / 62)
  }
  return digits
}
