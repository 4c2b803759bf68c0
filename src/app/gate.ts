import { randomBytes } from 'node:crypto'
import type { Registry } from 'prom-client'
import type { Config } from '../config.ts'
import { createGateSnapshot } from '../database/gate-snapshot.ts'
import { createKeyStore } from '../database/keys.ts'
import { createQuotaStore } from '../database/quotas.ts'
import type { TenantId } from '../id/ids.ts'
import { createFreshness, startHeartbeat } from '../provision/freshness.ts'
import { applyKeyRecord, loadKeyTable } from '../provision/gate-topic.ts'
import { createKeyTable, type KeyTable } from '../provision/key-table.ts'
import { type GateMembers, startGateMembers } from '../provision/members.ts'
import { createKeyring, type Keyring } from '../provision/keyring.ts'
import { mintKey } from '../provision/mint.ts'
import type {
  HolderDirectory,
  KeyStore,
  MeterDirectory,
  ProvisionMetrics,
  QuotaStore,
  UsageReader,
} from '../provision/ports.ts'
import { createQuotaBook, type QuotaBook } from '../provision/quota-book.ts'
import { startQuotaWorker } from '../provision/quota-worker.ts'
import { createQuotas, type Quotas } from '../provision/quotas.ts'
import { createProvisionMetrics } from '../telemetry/provision.ts'
import type { Clock } from '../time/clock.ts'
import type { Cut } from '../usage/coordinate.ts'
import { TOPIC_KEY_STATE } from '../usage/topics.ts'
import { readAdminKey, writeAdminKey } from './admin-key.ts'
import type { Closing } from './closing.ts'
import type { Engines } from './engines.ts'
import type { Gatekeeping } from './gatekeeping.ts'
import { repeat } from './repeat.ts'
import { startTopicReplica, type TopicReplica } from './topic-replica.ts'

export interface HeldKeyTable {
  readonly table: KeyTable
  readonly replica: TopicReplica
  /** Who else answers for keys; null where the log is this process's own. */
  readonly members: GateMembers | null
  readonly metrics: ProvisionMetrics
}

export interface KeyTableOptions {
  readonly engines: Pick<Engines, 'log' | 'database'>
  readonly config: Pick<Config, 'kafka'>
  readonly holders: Pick<HolderDirectory, 'now'>
  readonly registry: Registry
  readonly instance: string
  readonly closing: Closing
  readonly onFatal: (error: Error) => void
  readonly onFault: (what: string, error: unknown) => void
}

const monotonicMs = (): number => performance.now()

/**
 * The table that answers for keys, in every process that answers for them. On a log that others share it knows how old
 * its knowledge may be, and tells the others what it has applied.
 */
export async function startKeyTable(options: KeyTableOptions): Promise<HeldKeyTable> {
  const { engines, holders, closing, instance, onFatal, onFault } = options
  const { log } = engines
  const freshness = options.config.kafka.brokers === null ? undefined : createFreshness(monotonicMs)
  let members: GateMembers | null = null
  const metrics = createProvisionMetrics(options.registry)
  const table = createKeyTable({
    holders,
    monotonicMs,
    metrics,
    ...(freshness === undefined ? {} : { freshness }),
  })
  const replica = await startTopicReplica({
    log,
    topic: TOPIC_KEY_STATE,
    instance,
    snapshot: () => loadKeyTable(table, createGateSnapshot(engines.database.db)),
    apply: (value) => applyKeyRecord(table, value, freshness),
    onApplied: () => members?.announce(),
    onFatal,
  })
  closing.add('key table', () => replica.stop())
  if (freshness === undefined) return { table, replica, members, metrics }
  const heartbeat = startHeartbeat({
    log,
    topic: TOPIC_KEY_STATE,
    onFault: (error) => onFault('the heartbeat of the keys', error),
  })
  closing.add('heartbeat of the keys', () => heartbeat.stop())
  const joined = await startGateMembers({
    log,
    member: instance,
    applied: () => replica.applied(),
    monotonicMs,
    onFatal,
    onFault: (error) => onFault('telling the other gates what is applied here', error),
  })
  members = joined
  closing.add('member of the gates', () => joined.stop())
  // What was published before the others knew of this one is waited for here, since nobody waited for it there.
  const [end] = await log.endOffsets(TOPIC_KEY_STATE)
  await replica.whenApplied(end?.offset ?? 0)
  return { table, replica, members, metrics }
}

export interface Gate {
  readonly keys: KeyStore
  readonly quotaStore: QuotaStore
  readonly quotas: Quotas
  readonly keyring: Keyring
  readonly book: QuotaBook
}

export interface GateOptions {
  readonly engines: Pick<Engines, 'log' | 'database'>
  readonly held: HeldKeyTable
  readonly holders: HolderDirectory
  readonly meters: MeterDirectory
  readonly usage: UsageReader
  readonly waitForJournal: (cut: Cut, timeoutMs: number) => Promise<boolean>
  readonly clock: Clock
  readonly closing: Closing
  /** Whether this process follows observed usage and the calendar. */
  readonly provisions: boolean
  /** The books of leased quotas. */
  readonly gatekeeping: Gatekeeping
  readonly onFatal: (error: Error) => void
  readonly onFault: (what: string, error: unknown) => void
}

const TICK_MS = 1000
/** Longer than a new process takes to hear of those that run: members beat every second. */
const LOST_PAUSE_MS = 10_000

/** Stage 5: keys and quotas, and in one process of the fleet the worker that keeps quotas true. */
export async function startGate(options: GateOptions): Promise<Gate> {
  const { engines, held, holders, meters, usage, clock, closing, gatekeeping, onFatal, onFault } = options
  const { leased } = gatekeeping
  const { db } = engines.database
  const keys = createKeyStore(db)
  const quotaStore = createQuotaStore(db)
  const { table, metrics } = held
  const quotas = createQuotas({ store: quotaStore, holders, usage, leased, table, monotonicMs, metrics })
  if (options.provisions) {
    const worker = await startQuotaWorker({
      log: engines.log,
      store: quotaStore,
      quotas,
      holders,
      meters,
      waitForJournal: options.waitForJournal,
      onFatal,
    })
    closing.add('quota worker', () => worker.stop())
    gatekeeping.onReached = (name) => {
      quotas.evaluate([name]).catch((error: unknown) => onFault('evaluating a leased quota', error))
    }
    const stopTicking = repeat(
      TICK_MS,
      () => quotas.tick(),
      (error) => onFault('quota tick', error),
    )
    closing.add('quota tick', stopTicking)
    const stopLooking = repeat(
      LOST_PAUSE_MS,
      () => gatekeeping.declareLost((holder) => isAlive(held.members, holder)),
      (error) => onFault('looking for enforcers that are gone', error),
    )
    closing.add('lost enforcers', stopLooking)
  }
  const keyring = createKeyring({
    store: keys,
    holders,
    evaluate: (assignments) => quotas.evaluate(assignments),
    clock,
    randomBytes,
  })
  const book = createQuotaBook({ store: quotaStore, quotas, leased, holders, meters, clock })
  return { keys, quotaStore, quotas, keyring, book }
}

/** An enforcer has the name of its process, and this process is alive. */
function isAlive(members: GateMembers | null, holder: string): boolean {
  return (
    members?.members().some(({ member, silentMs }) => member === holder && silentMs < LOST_PAUSE_MS) ?? false
  )
}

/** The administrator's key of this data directory; made at the first start, and again when the file was lost. */
export async function ensureAdminKey(
  dataDirectory: string,
  tenant: TenantId,
  { keys, table }: { readonly keys: KeyStore; readonly table: KeyTable },
  clock: Clock,
): Promise<string> {
  const existing = readAdminKey(dataDirectory)
  if (existing !== null && table.authenticate(existing).kind === 'authenticated') return existing
  const now = clock.now()
  const { key, state } = mintKey(
    { tenant, name: 'administrator', scopes: ['admin'] },
    { nowMs: now, createdAt: now, randomBytes },
  )
  // The file first: a key that is written and not yet known is replaced at the next start; the other way round,
  // an administrator's key would be alive that nobody holds.
  writeAdminKey(dataDirectory, key)
  await keys.create(state)
  table.apply(state)
  return key
}
