/** One policy and where its user stands, for the RateLimit fields. */
export interface RateLimitItem {
  readonly name: string
  readonly quota: bigint
  readonly remaining: bigint
  /** Null: no window, the quota does not come back by itself. */
  readonly windowSeconds: number | null
  readonly resetSeconds: number | null
  /** What is counted; null: requests, which is the default of the draft. */
  readonly unit: string | null
}

/** Integers of structured fields have at most 15 digits (RFC 9651, section 3.3.1). What is more is told as this. */
const INTEGER_MAX = 999_999_999_999_999n

/** `"monthly";q=1000000;w=2592000;qu="tokens"` of RateLimit-Policy; null where the name cannot be said in ASCII. */
export function policyField({ name, quota, windowSeconds, unit }: RateLimitItem): string | null {
  const text = stringItem(name)
  if (text === null) return null
  const unitText = unit === null ? null : stringItem(unit)
  const window = windowSeconds === null ? '' : `;w=${windowSeconds}`
  return `${text};q=${capped(quota)}${window}${unitText === null ? '' : `;qu=${unitText}`}`
}

/** `"monthly";r=1234;t=86400` of RateLimit: `t` is seconds, never a date. */
export function field({ name, remaining, resetSeconds }: RateLimitItem): string | null {
  const text = stringItem(name)
  if (text === null) return null
  return `${text};r=${capped(remaining)}${resetSeconds === null ? '' : `;t=${resetSeconds}`}`
}

function capped(value: bigint): string {
  return String(value > INTEGER_MAX ? INTEGER_MAX : value)
}

function stringItem(text: string): string | null {
  if (!/^[\x20-\x7e]*$/.test(text)) return null
  return `"${text.replaceAll(/["\\]/g, (char) => `\\${char}`)}"`
}
