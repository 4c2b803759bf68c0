import { createHash } from 'node:crypto'

export type Json =
  string | number | boolean | null | readonly Json[] | { readonly [member: string]: Json | undefined }

/**
 * One text for one value: members sorted by their UTF-16 names, no blanks, absent members left out (RFC 8785, whose
 * rule for numbers is ECMAScript's own). Numbers must be safe integers: amounts and quantities are text.
 */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalJson(item)).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value as Readonly<Record<string, Json | undefined>>)
      .filter((member): member is [string, Json] => member[1] !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`
  }
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new RangeError(`not a safe integer: ${value}`)
  }
  return JSON.stringify(value)
}

/** Lower-case hexadecimal SHA-256. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}
