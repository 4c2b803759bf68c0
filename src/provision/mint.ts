import {
  type ApiKeyId,
  type CustomerKey,
  makeId,
  type QuotaKey,
  type SubjectId,
  type TenantId,
} from '../id/ids.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import { type Environment, generateKey, hashKey, keyHint } from './key-format.ts'
import type { KeyState, Rate } from './key-state.ts'

export interface KeyRequest {
  readonly tenant: TenantId
  readonly name: string
  readonly scopes: readonly string[]
  readonly customer?: CustomerKey | null
  readonly subject?: SubjectId | null
  readonly environment?: Environment
  readonly notBefore?: Instant | null
  readonly expiresAt?: Instant | null
  readonly ipRanges?: readonly string[]
  readonly rate?: Rate | null
  readonly quotas?: readonly QuotaKey[]
}

export interface MintContext {
  /** The present of the system: ids sort by it. */
  readonly nowMs: number
  /** When the key was made, by its holder's clock. */
  readonly createdAt: Instant
  readonly randomBytes: (count: number) => Uint8Array
}

/** What is new in the key that takes another's place. */
export type KeySecret = Pick<KeyState, 'keyId' | 'hash' | 'hint' | 'createdAt'>

/** A new key and what is kept of it. The key itself is in no store: whoever asked for it sees it once. */
export function mintKey(
  request: KeyRequest,
  context: MintContext,
): { readonly key: string; readonly state: KeyState } {
  const { key, secret } = mintSecret(context, request.environment)
  return { key, state: stateOf(request, secret) }
}

/** The state of a key that was made elsewhere and is known here by its hash alone. */
export function importKey(
  request: KeyRequest,
  imported: { readonly hash: string; readonly hint: string },
  { nowMs, createdAt, randomBytes }: MintContext,
): KeyState {
  const keyId = makeId('key', nowMs, randomBytes(10)) as ApiKeyId
  return stateOf(request, { keyId, createdAt, ...imported })
}

function stateOf(request: KeyRequest, secret: KeySecret): KeyState {
  return {
    kind: 'key',
    version: 1,
    ...secret,
    tenant: request.tenant,
    name: request.name,
    environment: request.environment ?? 'live',
    customer: request.customer ?? null,
    subject: request.subject ?? null,
    scopes: [...new Set(request.scopes)],
    quotas: [...new Set(request.quotas ?? [])],
    rate: request.rate ?? null,
    ipRanges: [...new Set(request.ipRanges ?? [])],
    notBefore: request.notBefore ?? null,
    expiresAt: request.expiresAt ?? null,
    revokedAt: null,
    causes: [],
    rotatedTo: null,
  }
}

export function mintSecret(
  { nowMs, createdAt, randomBytes }: MintContext,
  environment: Environment = 'live',
): { readonly key: string; readonly secret: KeySecret } {
  const key = generateKey(randomBytes, environment)
  const keyId = makeId('key', nowMs, randomBytes(10)) as ApiKeyId
  return { key, secret: { keyId, hash: hashKey(key), hint: keyHint(key), createdAt } }
}

/**
 * The two states after a rotation: the successor has everything of its predecessor, suspensions included, for
 * rotating is no way out of one; the predecessor expires at `overlapUntil` unless it did so earlier.
 */
export function succeed(
  predecessor: KeyState,
  secret: KeySecret,
  overlapUntil: Instant,
): { readonly state: KeyState; readonly predecessor: KeyState } {
  const expiresAt = instantOf(Math.min(predecessor.expiresAt ?? overlapUntil, overlapUntil))
  return {
    state: { ...predecessor, ...secret, version: 1 },
    predecessor: { ...predecessor, version: predecessor.version + 1, expiresAt, rotatedTo: secret.keyId },
  }
}
