import type { ApiKeyId, TenantId } from '../id/ids.ts'
import type { Clock } from '../time/clock.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import { causesInForce } from './cause.ts'
import { holderOf } from './holder.ts'
import type { KeyCondition, KeyState } from './key-state.ts'
import { importKey, type KeyRequest, type MintContext, mintKey, mintSecret } from './mint.ts'
import type { Assignment, HolderDirectory, KeyChangeOutcome, KeyStore, RotateOutcome } from './ports.ts'

type MintOutcome = { readonly kind: 'minted'; readonly key: string; readonly state: KeyState } | MintFault

interface MintFault {
  readonly kind: 'refused'
  readonly code:
    | 'unknownCustomer'
    | 'unknownSubject'
    | 'unknownQuota'
    | 'holderMissing'
    | 'expiryPast'
    | 'validityEmpty'
    | 'hashTaken'
  readonly pointer: string
  readonly detail: string
}

type RotatedKey =
  | {
      readonly kind: 'rotated'
      readonly key: string
      readonly state: KeyState
      readonly predecessor: KeyState
    }
  | Exclude<RotateOutcome, { kind: 'rotated' }>

export interface KeyringDeps {
  readonly store: KeyStore
  readonly holders: HolderDirectory
  /** Brings the holders of these assignments up to date: a new key of a holder that is shut out is shut out too. */
  readonly evaluate: (assignments: readonly Assignment[]) => Promise<void>
  readonly clock: Clock
  readonly randomBytes: (count: number) => Uint8Array
}

/** What administrators do with keys. Times are the holder's own. */
export interface Keyring {
  mint(request: KeyRequest): Promise<MintOutcome>
  /** Makes a key known that was made elsewhere, by the SHA-256 of it in base64url. It stays as it is for who holds it. */
  import(
    request: KeyRequest,
    imported: { readonly hash: string; readonly hint: string },
  ): Promise<{ readonly kind: 'imported'; readonly state: KeyState } | MintFault>
  /** The old key stays valid for `overlapMs`; both draw on the same quotas. */
  rotate(tenant: TenantId, keyId: ApiKeyId, overlapMs: number): Promise<RotatedKey>
  revoke(tenant: TenantId, keyId: ApiKeyId): Promise<KeyChangeOutcome>
  suspend(
    tenant: TenantId,
    keyId: ApiKeyId,
    cause: { readonly kind: 'admin' | 'payment' | 'leak'; readonly reason: string; readonly by: string },
  ): Promise<KeyChangeOutcome>
  resume(tenant: TenantId, keyId: ApiKeyId, kind: 'admin' | 'payment' | 'leak'): Promise<KeyChangeOutcome>
  conditionOf(state: KeyState): KeyCondition
}

export function createKeyring({ store, holders, evaluate, clock, randomBytes }: KeyringDeps): Keyring {
  const presentOf = (state: Pick<KeyState, 'tenant' | 'customer' | 'subject'>): Instant =>
    holders.now(state.tenant, holderOf(state))

  const faultOf = async (request: KeyRequest, now: Instant): Promise<MintFault | null> => {
    const {
      tenant,
      customer = null,
      subject = null,
      expiresAt = null,
      notBefore = null,
      quotas = [],
    } = request
    const refused = (code: MintFault['code'], pointer: string, detail: string): MintFault => ({
      kind: 'refused',
      code,
      pointer,
      detail,
    })
    if (quotas.length > 0 && customer === null && subject === null) {
      return refused(
        'holderMissing',
        '/quotas',
        'Quotas limit the usage of somebody: give a customer or a subject.',
      )
    }
    if (expiresAt !== null && expiresAt <= now) {
      return refused('expiryPast', '/expiresAt', 'The key would have expired before it was made.')
    }
    if (expiresAt !== null && notBefore !== null && expiresAt <= notBefore) {
      return refused('validityEmpty', '/notBefore', 'The key would expire before it becomes valid.')
    }
    if (customer === null) return null
    const profile = await holders.profile(tenant, { kind: 'customer', id: customer })
    if (profile === null)
      return refused('unknownCustomer', '/customer', `There is no customer "${customer}".`)
    if (subject !== null && !profile.subjects.includes(subject)) {
      return refused(
        'unknownSubject',
        '/subject',
        `The subject "${subject}" is not one of the customer "${customer}".`,
      )
    }
    return null
  }

  /** Checks the request, makes the state, stores it, and brings its holder up to date. */
  const register = async <Made extends { readonly state: KeyState }>(
    request: KeyRequest,
    make: (context: MintContext) => Made,
  ): Promise<Made | MintFault> => {
    const createdAt = presentOf({
      tenant: request.tenant,
      customer: request.customer ?? null,
      subject: request.subject ?? null,
    })
    const fault = await faultOf(request, createdAt)
    if (fault !== null) return fault
    const made = make({ nowMs: clock.now(), createdAt, randomBytes })
    const created = await store.create(made.state)
    switch (created.kind) {
      case 'unknownQuota': {
        const index = made.state.quotas.indexOf(created.quotaKey)
        const detail = `There is no quota "${created.quotaKey}".`
        return { kind: 'refused', code: 'unknownQuota', pointer: `/quotas/${index}`, detail }
      }
      case 'hashTaken': {
        const detail = 'A key with this hash is known already. Rotate or revoke that one.'
        return { kind: 'refused', code: 'hashTaken', pointer: '/hash', detail }
      }
      case 'created':
        await evaluate(assignmentsOf(made.state))
        return made
    }
  }

  return {
    mint: (request) =>
      register(request, (context) => ({ kind: 'minted' as const, ...mintKey(request, context) })),

    import: (request, imported) =>
      register(request, (context) => ({
        kind: 'imported' as const,
        state: importKey(request, imported, context),
      })),

    async rotate(tenant, keyId, overlapMs) {
      const held = await store.get(tenant, keyId)
      if (held === null) return { kind: 'unknown' }
      const now = presentOf(held)
      const { key, secret } = mintSecret(
        { nowMs: clock.now(), createdAt: now, randomBytes },
        held.environment,
      )
      const outcome = await store.rotate(tenant, keyId, secret, instantOf(now + overlapMs))
      if (outcome.kind !== 'rotated') return outcome
      await evaluate(assignmentsOf(outcome.state))
      return { ...outcome, key }
    },

    async revoke(tenant, keyId) {
      const held = await store.get(tenant, keyId)
      if (held === null) return { kind: 'unknown' }
      return store.revoke(tenant, keyId, presentOf(held))
    },

    async suspend(tenant, keyId, { kind, reason, by }) {
      const held = await store.get(tenant, keyId)
      if (held === null) return { kind: 'unknown' }
      const since = presentOf(held)
      return store.suspend(
        tenant,
        keyId,
        kind === 'admin' ? { kind, by, reason, since } : { kind, reason, since },
      )
    },

    resume: (tenant, keyId, kind) => store.resume(tenant, keyId, kind),

    conditionOf(state) {
      const now = presentOf(state)
      if (state.revokedAt !== null) return 'revoked'
      if (state.expiresAt !== null && now >= state.expiresAt) return 'expired'
      if (state.notBefore !== null && now < state.notBefore) return 'pending'
      if (causesInForce(state.causes, now).length > 0) return 'suspended'
      return state.rotatedTo === null ? 'active' : 'rotating'
    },
  }
}

function assignmentsOf(state: KeyState): readonly Assignment[] {
  const holder = holderOf(state)
  if (holder === null) return []
  return state.quotas.map((quotaKey) => ({ tenant: state.tenant, quotaKey, holder }))
}
