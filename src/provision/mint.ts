import {
  type ApiKeyId,
  type CustomerKey,
  makeId,
  type QuotaKey,
  type SubjectId,
  type TenantId,
} from '../id/ids.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import { generateKey, hashKey, keyHint } from './key-format.ts'
import type { KeyState, Rate } from './key-state.ts'

export interface KeyRequest {
  readonly tenant: TenantId
  readonly name: string
  readonly scopes: readonly string[]
  readonly customer?: CustomerKey | null
  readonly subject?: SubjectId | null
  readonly expiresAt?: Instant | null
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
  const { key, secret } = mintSecret(context)
  const state: KeyState = {
    kind: 'key',
    version: 1,
    ...secret,
    tenant: request.tenant,
    name: request.name,
    customer: request.customer ?? null,
    subject: request.subject ?? null,
    scopes: [...new Set(request.scopes)],
    quotas: [...new Set(request.quotas ?? [])],
    rate: request.rate ?? null,
    expiresAt: request.expiresAt ?? null,
    revokedAt: null,
    causes: [],
    rotatedTo: null,
  }
  return { key, state }
}

export function mintSecret({ nowMs, createdAt, randomBytes }: MintContext): {
  readonly key: string
  readonly secret: KeySecret
} {
  const key = generateKey(randomBytes)
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
