import type { Registry } from 'prom-client'
import { createLedgerSnapshots } from '../database/ledger-snapshots.ts'
import type { TenantId } from '../id/ids.ts'
import type { Directory } from '../ingest/directory.ts'
import { createEnforcer } from '../provision/enforcer.ts'
import { createGatekeeper, type Gatekeeper } from '../provision/gatekeeper.ts'
import type { AnswerOptions } from '../provision/http-answer.ts'
import type { KeyTable } from '../provision/key-table.ts'
import { createLeasedQuotas, type LeasedQuotas } from '../provision/leased-quotas.ts'
import type { AccountName } from '../provision/ledger/account.ts'
import { startQuotaAuthority } from '../provision/ledger/authority.ts'
import { createLocalGate, type LocalGate } from '../provision/local-gate.ts'
import { declareLostHolders } from '../provision/lost-holders.ts'
import { createReservations, type Reservations } from '../provision/reservations.ts'
import { createLeaseMetrics } from '../telemetry/leases.ts'
import type { Clock } from '../time/clock.ts'
import type { Instant } from '../time/instant.ts'
import type { Closing } from './closing.ts'
import { newId } from './control.ts'
import type { Engines } from './engines.ts'
import { repeat } from './repeat.ts'

/** What decides over requests that cost units, in every process that does. */
export interface Gatekeeping {
  readonly gatekeeper: Gatekeeper
  readonly reservations: Reservations
  readonly leased: LeasedQuotas
  /** For proxies and middleware in front of the API of `tenant`. */
  readonly local: LocalGate
  /** Writes off the leases of enforcers that are gone. */
  readonly declareLost: (isAlive: (holder: string) => boolean) => Promise<number>
  /** Whom to tell of accounts that reached a rung of their ladder. */
  onReached: (name: AccountName) => void
}

export interface GatekeepingOptions {
  readonly engines: Pick<Engines, 'log' | 'database'>
  readonly table: KeyTable
  readonly directory: Pick<Directory, 'nowFor' | 'nowForCustomer' | 'customerOf' | 'isOnTestClock'>
  readonly tenant: TenantId
  readonly answer: AnswerOptions
  readonly clock: Clock
  readonly registry: Registry
  readonly instance: string
  readonly closing: Closing
  readonly onFatal: (error: Error) => void
  readonly onFault: (what: string, error: unknown) => void
}

const HOUSEKEEPING_PAUSE_MS = 1_000
const monotonicMs = (): number => performance.now()

/** The quota ledger as this process reads it, the leases that it holds, and the gate in front of both. */
export async function startGatekeeping(options: GatekeepingOptions): Promise<Gatekeeping> {
  const { engines, table, directory, tenant, clock, closing, instance, onFault } = options
  const isOnTestClock = ({ tenant: of, holder }: AccountName): boolean => {
    const customer = holder.kind === 'customer' ? holder.id : directory.customerOf(of, holder.id)
    return customer !== null && directory.isOnTestClock(of, customer)
  }
  const nowOf = ({ tenant: of, holder }: AccountName): Instant =>
    holder.kind === 'customer' ? directory.nowForCustomer(of, holder.id) : directory.nowFor(of, holder.id)
  const held: { onReached: Gatekeeping['onReached']; recall: (name: AccountName) => void } = {
    onReached: () => undefined,
    recall: () => undefined,
  }
  const authority = await startQuotaAuthority({
    log: engines.log,
    snapshots: createLedgerSnapshots(engines.database.db),
    instance,
    onFatal: options.onFatal,
    onReached: ({ name }) => held.onReached(name),
    onRecall: (name, holders) => {
      if (holders.includes(instance)) held.recall(name)
    },
  })
  closing.add('quota ledger', () => authority.stop())
  const enforcer = createEnforcer({
    authority,
    // A name of its own for every life: what a life before held stays charged, also after it is declared lost.
    holder: instance,
    incarnation: 1,
    now: (name) => ({ at: nowOf(name), isTestClock: isOnTestClock(name) }),
    monotonicMs,
    onFault: (error) => onFault('asking the quota ledger', error),
  })
  closing.add('leases', () => enforcer.stop())
  held.recall = (name) => enforcer.recall(name)
  createLeaseMetrics(options.registry, () => enforcer.figures())
  const reservations = createReservations({ newId: () => newId('rsv', clock), monotonicMs })
  const stopHousekeeping = repeat(
    HOUSEKEEPING_PAUSE_MS,
    async () => {
      reservations.expire()
      await enforcer.housekeep()
    },
    (error) => onFault('giving leases back', error),
  )
  closing.add('housekeeping of leases', stopHousekeeping)
  const gatekeeper = createGatekeeper({ table, enforcer, authority, random: Math.random })
  const testClock = (name: AccountName): Instant | null => (isOnTestClock(name) ? nowOf(name) : null)
  const leased = createLeasedQuotas({ authority, testClock })
  return Object.assign(held, {
    gatekeeper,
    reservations,
    leased,
    declareLost: (isAlive: (holder: string) => boolean) =>
      declareLostHolders({
        authority,
        testClock,
        isAlive: (holder) => holder === instance || isAlive(holder),
      }),
    local: createLocalGate({ gatekeeper, tenant, answer: options.answer }),
  })
}
