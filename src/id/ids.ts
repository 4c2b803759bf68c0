import type { Brand } from './brand.ts'

/** The owner of everything. It comes from the API key of a request and from nowhere else. */
export type TenantId = Brand<string, 'TenantId'>
/** A customer's key as the tenant names it (`acme`). Unique within the tenant. */
export type CustomerKey = Brand<string, 'CustomerKey'>
/** Who used: the `subject` of a usage event. */
export type SubjectId = Brand<string, 'SubjectId'>
export type MeterKey = Brand<string, 'MeterKey'>
export type PlanKey = Brand<string, 'PlanKey'>
export type QuotaKey = Brand<string, 'QuotaKey'>
export type SubscriptionId = Brand<string, 'SubscriptionId'>
export type InvoiceId = Brand<string, 'InvoiceId'>
export type ApiKeyId = Brand<string, 'ApiKeyId'>
export type TestClockId = Brand<string, 'TestClockId'>

/** Prefixes of generated ids. They say what an id names, wherever it is pasted. */
export type IdPrefix =
  'cus' | 'sub' | 'inv' | 'key' | 'clk' | 'ten' | 'evt' | 'cn' | 'lin' | 'job' | 'rsv' | 'pay'

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz' // Crockford's base32: sorts as the bytes do, no i, l, o, u

/**
 * A prefixed, sortable id: `inv_` and 26 characters of base32 over a UUIDv7-like value.
 * @param nowMs milliseconds since the epoch; ids of later milliseconds sort later
 * @param random at least 10 random bytes, given by the caller
 */
export function makeId(prefix: IdPrefix, nowMs: number, random: Uint8Array): string {
  if (random.length < 10) throw new RangeError('makeId needs 10 random bytes')
  let value = BigInt(nowMs)
  for (let i = 0; i < 10; i++) value = (value << 8n) | BigInt(random[i] ?? 0)
  let text = ''
  for (let i = 0; i < 26; i++) {
    text = (ALPHABET[Number(value & 31n)] ?? '') + text
    value >>= 5n
  }
  return `${prefix}_${text}`
}
