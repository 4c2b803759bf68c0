import type { MiddlewareHandler } from 'hono'
import { createTracer } from '../aggregate/trace.ts'
import { createReconciler } from '../aggregate/reconcile.ts'
import type { Api, ApiEnv, Authenticator } from '../http/api.ts'
import { createBackfillRoutes } from '../http/backfills.ts'
import { createBackupRoutes } from '../http/backups.ts'
import { createCustomerRoutes } from '../http/customers.ts'
import { createEventSchemaRoutes } from '../http/event-schemas.ts'
import type { OpenMeterReads } from '../http/compat/openmeter.ts'
import { idempotency } from '../http/idempotency.ts'
import { createTraceRoutes } from '../http/trace.ts'
import { createReconcileRoutes } from '../http/reconcile.ts'
import { createKeyRoutes } from '../http/keys.ts'
import { createMeterRoutes } from '../http/meters.ts'
import { createOtlpMappingRoutes } from '../http/otlp-mappings.ts'
import { createPlanRoutes } from '../http/plans.ts'
import { createQuotaRoutes } from '../http/quotas.ts'
import { createReservationRoutes } from '../http/reservations.ts'
import { createRebuildRoutes } from '../http/rebuilds.ts'
import { createRateRoutes } from '../http/rate.ts'
import { createSubscriptionRoutes } from '../http/subscriptions.ts'
import { createTestClockRoutes } from '../http/test-clocks.ts'
import { createUsageRoutes } from '../http/usage.ts'
import { createEventSchemaRegistry } from '../database/event-schemas.ts'
import { createIdempotencyStore } from '../database/idempotency.ts'
import { createOtlpMappingRegistry } from '../database/otlp-mappings.ts'
import { createOutboxRelay } from '../database/outbox.ts'
import type { MeterKey, SubscriptionId, TenantId, TestClockId } from '../id/ids.ts'
import type { LocalGate } from '../provision/local-gate.ts'
import { rateJson } from '../rating/rating-json.ts'
import { presentPhase } from '../subscription/subscription.ts'
import { TOPIC_DIRECTORY, TOPIC_KEY_STATE } from '../usage/topics.ts'
import { startBackfilling } from './backfilling.ts'
import { createBackups } from './backups.ts'
import { createAdvance, createControl, newId } from './control.ts'
import type { HeldDirectory } from './directory.ts'
import type { Engines } from './engines.ts'
import { quotaUsage, startUsageSide } from './event-path.ts'
import { createInvoices } from './invoices.ts'
import { ensureAdminKey, startGate, startKeyTable } from './gate.ts'
import { gateAnswers } from './gate-door.ts'
import { startGatekeeping } from './gatekeeping.ts'
import { createHolders } from './holders.ts'
import { createOpenMeterReads } from './openmeter-reads.ts'
import { createRebuilds } from './rebuilds.ts'
import { repeat } from './repeat.ts'
import { createSettle } from './settle.ts'
import type { Shell } from './shell.ts'

/** What a process does besides answering for the control plane. */
export interface ControlRole {
  readonly ingests: boolean
  readonly aggregates: boolean
  /** Follows observed usage and evaluates quotas. */
  readonly provisions: boolean
  /** Runs what the calendar brings: starts, resumptions, ends, invoices. */
  readonly schedules: boolean
}

export interface ControlPlane {
  readonly authenticator: Authenticator
  readonly before: readonly MiddlewareHandler<ApiEnv>[]
  readonly routes: readonly Api[]
  readonly adminKey: string
  /** For proxies in front of the tenant's own API. */
  readonly gate: LocalGate
  readonly openMeterReads: OpenMeterReads
}

export interface ControlPlaneOptions {
  readonly shell: Shell
  readonly engines: Engines
  readonly held: HeldDirectory
  readonly role: ControlRole
  readonly tenant: TenantId
}

const OUTBOX_WATCH_MS = 500
/** A gate that is silent lapses before: longer than this only a gate takes that is heard of and cannot keep up. */
const APPLIED_WAIT_MS = 10_000
const SCHEDULE_PAUSE_MS = 1000
const HOUSEKEEPING_PAUSE_MS = 3_600_000

/** Everything that answers for the control plane, the gate and the invoices, wired to each other. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { shell, engines, held, role, tenant } = options
  const { clock, closing, registry, onFault } = shell
  const { directory } = held
  const control = createControl(engines.database, clock)
  const usage = await startUsageSide({ ...shell, engines, directory, aggregates: role.aggregates })
  const holders = createHolders({
    clock,
    directory,
    customer: (of, key) => control.customers.get(of, key),
    subscriptions: (of, key) => control.subscriptions.ofCustomer(of, key),
    intervalOf: async (of, subscription, now) => {
      const { plan, version } = presentPhase(subscription, now)
      return (await control.plans.version(of, plan, version))?.interval ?? null
    },
  })
  const relay = createOutboxRelay({
    database: engines.database,
    log: engines.log,
    topics: [TOPIC_DIRECTORY, TOPIC_KEY_STATE],
    onError: (error) => onFault('the outbox', error),
  })
  closing.add('outbox', () => relay.stop())
  relay.watch(OUTBOX_WATCH_MS)
  const keys = await startKeyTable({ ...shell, engines, holders })
  const settle = createSettle(
    relay,
    new Map([
      [TOPIC_DIRECTORY, held.replica],
      [TOPIC_KEY_STATE, keys.replica],
    ]),
  )
  const meters = { eventTypeOf: (of: TenantId, key: MeterKey) => directory.meter(of, key)?.eventType ?? null }
  const gatekeeping = await startGatekeeping({
    ...shell,
    engines,
    table: keys.table,
    directory,
    tenant,
    answer: gateAnswers(shell.config.gate),
  })
  const gate = await startGate({
    ...shell,
    engines,
    held: keys,
    holders,
    meters,
    usage: quotaUsage(usage, directory),
    waitForJournal: (cut, timeoutMs) => usage.journal.waitForJournal(cut, timeoutMs),
    provisions: role.provisions,
    gatekeeping,
  })
  const reconciler = createReconciler({
    log: engines.log,
    store: engines.store,
    journal: usage.journal,
    conflicts: usage.conflicts,
    rollups: usage.roller,
    metrics: usage.metrics,
  })
  const invoices = createInvoices({
    engines,
    control,
    usage,
    reconciler,
    ...{ config: shell.config, clock, registry, authenticator: keys.table, onFault },
  })
  const { intervalMinutes } = shell.config.reconcile
  if (role.schedules && intervalMinutes > 0) {
    const stop = repeat(
      intervalMinutes * 60_000,
      () => reconciler.run(tenant, { fixRollups: false }),
      (error) => onFault('the reconciliation', error),
    )
    closing.add('reconciliation', stop)
  }
  if (role.schedules) {
    const stop = repeat(
      SCHEDULE_PAUSE_MS,
      async () => {
        if ((await control.subscriptions.runDue(clock.now())) > 0) await settle()
        await invoices.billRun.runDue(clock.now())
      },
      (error) => onFault('what the calendar brings', error),
    )
    closing.add('calendar', stop)
  }
  const adminKey = await ensureAdminKey(
    shell.dataDirectory,
    tenant,
    { keys: gate.keys, table: keys.table },
    clock,
  )
  const authenticator = keys.table
  const common = { authenticator, settle, clock }
  const advance = createAdvance({
    testClocks: control.testClocks,
    settle,
    runDue: async (of, testClock) => {
      await control.subscriptions.runDue(clock.now(), { tenant: of, testClock })
      await gate.quotas.tick()
      await invoices.billRun.runDue(clock.now(), { tenant: of, testClock })
    },
  })
  const routes: readonly Api[] = [
    createMeterRoutes({ ...common, meters: control.meters }),
    createOtlpMappingRoutes({ ...common, mappings: createOtlpMappingRegistry(engines.database.db) }),
    createEventSchemaRoutes({ ...common, schemas: createEventSchemaRegistry(engines.database.db) }),
    createCustomerRoutes({ ...common, customers: control.customers }),
    createPlanRoutes({ ...common, plans: control.plans }),
    createSubscriptionRoutes({
      ...common,
      subscriptions: control.subscriptions,
      plans: control.plans,
      newId: () => newId('sub', clock) as SubscriptionId,
    }),
    createTestClockRoutes({
      ...common,
      testClocks: control.testClocks,
      advance,
      newId: () => newId('clk', clock) as TestClockId,
    }),
    createUsageRoutes({
      authenticator,
      usage: usage.reader,
      journal: usage.journal,
      meters: control.meters,
      customers: control.customers,
    }),
    createReconcileRoutes({ authenticator, reconciler }),
    createBackfillRoutes({
      authenticator,
      ...startBackfilling({
        shell,
        engines,
        held,
        usage,
        customers: control.customers,
        counts: role.schedules,
      }),
    }),
    createRebuildRoutes({ authenticator, rebuilds: createRebuilds(shell, engines, usage.roller) }),
    createBackupRoutes({ authenticator, backups: createBackups(shell, engines) }),
    createTraceRoutes({
      authenticator,
      trace: createTracer({
        store: engines.store,
        journal: usage.journal,
        meters: (of, type) => directory.metersOf(of, type),
      }),
    }),
    createRateRoutes({ authenticator, rate: rateJson }),
    ...invoices.routes,
    createKeyRoutes({
      ...common,
      keyring: gate.keyring,
      store: gate.keys,
      table: keys.table,
      gatekeeper: gatekeeping.gatekeeper,
      settleEverywhere: async () => {
        await settle()
        return keys.members?.whenAppliedEverywhere(keys.replica.applied(), APPLIED_WAIT_MS) ?? 'applied'
      },
    }),
    createReservationRoutes({ authenticator, ...gatekeeping }),
    createQuotaRoutes({
      ...common,
      book: gate.book,
      store: gate.quotaStore,
      newTopUpId: () => newId('job', clock),
    }),
  ]
  const repeats = createIdempotencyStore(engines.database.db)
  const stopHousekeeping = repeat(
    HOUSEKEEPING_PAUSE_MS,
    () => repeats.removeExpired(clock.now()),
    (error) => onFault('removing expired Idempotency-Keys', error),
  )
  closing.add('housekeeping', stopHousekeeping)
  const before = [
    idempotency({
      store: repeats,
      clock,
      onFault: (error, requestId) => onFault(`keeping the answer of request ${requestId}`, error),
    }),
  ]
  const openMeterReads = createOpenMeterReads({
    ...{ engines, directory, usage, clock },
    ...{ book: gate.book, customers: control.customers },
  })
  return { authenticator, before, routes, adminKey, gate: gatekeeping.local, openMeterReads }
}
