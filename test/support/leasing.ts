import type { QuotaKey } from '../../src/id/ids.ts'
import { createMemoryLog } from '../../src/log/memory-log.ts'
import { createEnforcer, type Enforcer, type EnforcerDeps } from '../../src/provision/enforcer.ts'
import type { AccountName } from '../../src/provision/ledger/account.ts'
import {
  type LedgerSnapshots,
  type QuotaAuthority,
  type QuotaAuthorityDeps,
  startQuotaAuthority,
} from '../../src/provision/ledger/authority.ts'
import type { LedgerSnapshot } from '../../src/provision/ledger/ledger.ts'
import type { EventLog } from '../../src/usage/event-log.ts'
import { ACME, at, TENANT } from './gate.ts'

export const CALLS = 'calls' as QuotaKey
export const CALLS_OF_ACME: AccountName = {
  tenant: TENANT,
  quotaKey: CALLS,
  holder: { kind: 'customer', id: ACME },
}

function memorySnapshots(): LedgerSnapshots & { readonly saved: Map<number, LedgerSnapshot> } {
  const saved = new Map<number, LedgerSnapshot>()
  return {
    saved,
    load: async (partition) => saved.get(partition) ?? null,
    save: async (partition, snapshot) => {
      if ((saved.get(partition)?.offset ?? 0) <= snapshot.offset) saved.set(partition, snapshot)
    },
  }
}

export interface Leasing {
  readonly log: EventLog
  readonly snapshots: ReturnType<typeof memorySnapshots>
  /** The present, as a test clock: the ledger is told it. */
  now: ReturnType<typeof at>
  readonly authority: (options?: Partial<QuotaAuthorityDeps>) => Promise<QuotaAuthority>
  readonly enforcer: (authority: QuotaAuthority, options?: Partial<EnforcerDeps>) => Enforcer
  readonly close: () => Promise<void>
}

/** Authorities and enforcers on one log in memory; everything that was started is stopped by `close`. */
export function openLeasing(): Leasing {
  const log = createMemoryLog({ retryPauseMs: 1 })
  const snapshots = memorySnapshots()
  const stops: (() => Promise<void>)[] = []
  let instances = 0
  const leasing: Leasing = {
    log,
    snapshots,
    now: at('2023-11-15T12:00:00Z'),
    async authority(options = {}) {
      const authority = await startQuotaAuthority({
        log,
        snapshots,
        instance: `p${++instances}`,
        onFatal: (error) => {
          throw error
        },
        ...options,
      })
      stops.push(() => authority.stop())
      return authority
    },
    enforcer(authority, options = {}) {
      const enforcer = createEnforcer({
        authority,
        holder: `gw${++instances}`,
        incarnation: 1,
        now: () => ({ at: leasing.now, isTestClock: true }),
        monotonicMs: () => performance.now(),
        onFault: (error) => {
          throw error
        },
        ...options,
      })
      stops.unshift(() => enforcer.stop())
      return enforcer
    },
    async close() {
      for (const stop of stops) await stop()
      await log.close()
    },
  }
  return leasing
}
