import { parsePermission } from '../../provision/permission.ts'
import type { LocalGateRequest } from '../../provision/local-gate.ts'

/** What a route needs, as the proxy's configuration states it and never the caller. */
export interface Requirement {
  readonly permission: string | null
  /** Units of leased quotas, by quota. */
  readonly cost: Readonly<Record<string, bigint>>
}

export type RequirementOutcome =
  | { readonly kind: 'requirement'; readonly requirement: Requirement }
  /** The proxy is configured wrongly. */
  | { readonly kind: 'fault'; readonly detail: string }

/** The headers of a request, names in small letters. */
export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

const UNITS_DIGITS_MAX = 18
const COST = 'cost.'
/** Routes are few; more texts than these come from somewhere they should not. */
const KNOWN_MAX = 1_000

/**
 * Reads `permission=chat.write` and `cost.QUOTA=UNITS` as pairs. What is not known is a fault: a misspelt cost must
 * not pass as none.
 */
export function readRequirement(pairs: Iterable<readonly [string, string]>): RequirementOutcome {
  let permission: string | null = null
  const cost: Record<string, bigint> = {}
  for (const [name, value] of pairs) {
    if (name === 'permission') {
      const parsed = parsePermission(value)
      if (parsed.kind === 'fault') return { kind: 'fault', detail: `permission: ${parsed.detail}` }
      permission = value
    } else if (name.startsWith(COST) && name.length > COST.length) {
      if (!/^\d+$/.test(value) || value.length > UNITS_DIGITS_MAX) {
        const detail = `${name} must be a whole number of up to ${UNITS_DIGITS_MAX} digits.`
        return { kind: 'fault', detail }
      }
      cost[name.slice(COST.length)] = BigInt(value)
    } else {
      const detail = `"${name}" is not known: a route states "permission" and "${COST}" with the key of a quota.`
      return { kind: 'fault', detail }
    }
  }
  return { kind: 'requirement', requirement: { permission, cost } }
}

/** Reads the text of a query, and remembers what it read: a route asks the same with every request. */
export function createRequirementReader(): (query: string) => RequirementOutcome {
  const known = new Map<string, RequirementOutcome>()
  return (query) => {
    let outcome = known.get(query)
    if (outcome === undefined) {
      outcome = readRequirement(new URLSearchParams(query))
      if (known.size >= KNOWN_MAX) known.clear()
      known.set(query, outcome)
    }
    return outcome
  }
}

/**
 * The question about a request: its key, and where it comes from by the word of the proxy. Of X-Forwarded-For only
 * the last address counts, for everything before it the caller itself may have written.
 * @param keyHeader where the key stands, in small letters; null: `Authorization: Bearer`, else `X-Api-Key`
 */
export function questionOf(
  headers: RequestHeaders,
  { permission, cost }: Requirement,
  keyHeader: string | null,
): LocalGateRequest {
  const from = textOf(headers, 'x-forwarded-for')?.split(',').at(-1)?.trim() ?? null
  return { key: keyOf(headers, keyHeader), permission, from: from === '' ? null : from, cost }
}

function keyOf(headers: RequestHeaders, keyHeader: string | null): string | null {
  if (keyHeader !== null && keyHeader !== 'authorization') return textOf(headers, keyHeader)
  const bearer = /^Bearer +(\S+) *$/i.exec(textOf(headers, 'authorization') ?? '')?.[1] ?? null
  return bearer ?? (keyHeader === null ? textOf(headers, 'x-api-key') : null)
}

export function textOf(headers: RequestHeaders, name: string): string | null {
  const value = headers[name]
  const text = typeof value === 'string' ? value : (value?.join(', ') ?? null)
  return text === '' ? null : text
}
