import { createLeasedQuotas } from '../../src/provision/leased-quotas.ts'
import { createGatekeeper } from '../../src/provision/gatekeeper.ts'
import { createLocalGate, type LocalGate } from '../../src/provision/local-gate.ts'
import type { KeyRequest } from '../../src/provision/mint.ts'
import { ACME, aQuota, type Gate, openGate, TENANT } from './gate.ts'
import { CALLS, CALLS_OF_ACME, type Leasing } from './leasing.ts'

export interface Guarding {
  readonly gate: Gate
  readonly local: LocalGate
  readonly key: (request?: Partial<KeyRequest>) => Promise<{ readonly key: string; readonly keyId: string }>
  /** Units of the quota `calls` that were used. */
  readonly used: () => Promise<bigint>
}

/** The gate of one process with a leased quota of ten calls a month for `acme`. */
export async function openGuarding(leasing: Leasing): Promise<Guarding> {
  const authority = await leasing.authority()
  const leased = createLeasedQuotas({ authority, testClock: () => leasing.now })
  const gate = openGate({ leased })
  gate.now = leasing.now
  const enforcer = leasing.enforcer(authority, { waitMs: 5_000 })
  const gatekeeper = createGatekeeper({ table: gate.table, enforcer, authority, random: () => 0 })
  const ladder = [{ at: '1', action: 'block' }] as const
  await gate.store.quotas.put(
    aQuota({ key: CALLS, meter: null, unit: 'calls', limit: '10', mode: 'leased', ladder }),
    gate.now,
  )
  return {
    gate,
    local: createLocalGate({ gatekeeper, tenant: TENANT }),
    async key(request = {}) {
      const outcome = await gate.keyring.mint({
        tenant: TENANT,
        name: 'caller',
        scopes: ['chat.write'],
        customer: ACME,
        quotas: [CALLS],
        ...request,
      })
      if (outcome.kind !== 'minted') throw new Error(outcome.detail)
      return { key: outcome.key, keyId: outcome.state.keyId }
    },
    async used() {
      await enforcer.stop()
      const pools = authority.account(CALLS_OF_ACME)?.pools ?? []
      return pools.reduce((sum, pool) => sum + pool.used, 0n)
    },
  }
}
