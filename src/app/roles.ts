import { ensureDefaultTenant } from '../database/tenants.ts'
import { createLogMetrics } from '../telemetry/log.ts'
import { serveApi } from './api.ts'
import { type ControlRole, startControlPlane } from './control-plane.ts'
import { startDirectory } from './directory.ts'
import { type Engines, openEngines } from './engines.ts'
import { startUsageSide } from './event-path.ts'
import { startKeyTable } from './gate.ts'
import { gateAnswers } from './gate-door.ts'
import { startGatekeeping } from './gatekeeping.ts'
import { createHolderTime } from './holders.ts'
import type { Shell } from './shell.ts'
import { createStage1 } from './stage1.ts'

export interface StartedRole {
  readonly apiUrl: string
  readonly adminKey: string | null
}

/** Accepts events and nothing else: it needs neither ClickHouse nor, once started, PostgreSQL. */
export async function startIngestRole(shell: Shell): Promise<StartedRole> {
  const engines = await open(shell, ['log', 'database'])
  const held = await startDirectory({ ...shell, engines })
  const { table } = await startKeyTable({
    ...shell,
    engines,
    holders: createHolderTime(shell.clock, held.directory),
  })
  const ingest = createStage1(shell, engines, held, table)
  const apiUrl = await serveApi(shell, { events: ingest.routes })
  shell.closing.add('ingest', ingest.drain)
  return { apiUrl, adminKey: null }
}

/** Makes countable what is on the log: the only role that writes usage. PostgreSQL tells it the meters to roll up. */
export async function startAggregateRole(shell: Shell): Promise<StartedRole> {
  const engines = await open(shell, ['log', 'store', 'database'])
  const { directory } = await startDirectory({ ...shell, engines })
  const { aggregator } = await startUsageSide({ ...shell, engines, directory, aggregates: true })
  shell.watch('aggregation', async () => {
    const fault = aggregator?.fault() ?? null
    if (fault !== null) throw new Error(fault)
  })
  return { apiUrl: await serveApi(shell, {}), adminKey: null }
}

/**
 * The gate for proxies and nothing else: keys, quotas and leases in memory. It needs neither ClickHouse nor, once
 * started, PostgreSQL, but for snapshots of its books.
 */
export async function startGateRole(shell: Shell): Promise<StartedRole> {
  const engines = await open(shell, ['log', 'database'])
  const tenant = await ensureDefaultTenant(engines.database.db, shell.clock.now())
  const { directory } = await startDirectory({ ...shell, engines })
  const { table } = await startKeyTable({
    ...shell,
    engines,
    holders: createHolderTime(shell.clock, directory),
  })
  const answer = gateAnswers(shell.config.gate)
  const { local } = await startGatekeeping({ ...shell, engines, table, directory, tenant, answer })
  return { apiUrl: await serveApi(shell, { gate: local }), adminKey: null }
}

/** The control plane with whatever else this process does. */
export async function startControlRole(shell: Shell, role: ControlRole): Promise<StartedRole> {
  const engines = await open(shell, ['log', 'store', 'database'])
  const tenant = await ensureDefaultTenant(engines.database.db, shell.clock.now())
  const held = await startDirectory({ ...shell, engines })
  const plane = await startControlPlane({ shell, engines, held, role, tenant })
  // Also where no event is accepted: what was rejected elsewhere is sent again from here.
  const ingest = createStage1(shell, engines, held, plane.authenticator, plane.openMeterReads)
  const apiUrl = await serveApi(shell, {
    events: role.ingests ? ingest.routes : [],
    before: plane.before,
    control: [...plane.routes, ...ingest.operatorRoutes],
    gate: plane.gate,
  })
  shell.closing.add('ingest', ingest.drain)
  return { apiUrl, adminKey: plane.adminKey }
}

async function open<Name extends keyof Engines>(
  shell: Shell,
  names: readonly Name[],
): Promise<Pick<Engines, Name>> {
  const engines = await openEngines({ ...shell, logMetrics: createLogMetrics(shell.registry) }, names)
  if ('database' in engines) {
    const { database } = engines as Pick<Engines, 'database'>
    shell.watch('PostgreSQL', () => database.ping())
  }
  if ('store' in engines) {
    const { store } = engines as Pick<Engines, 'store'>
    shell.watch('ClickHouse', () => store.query('SELECT 1 AS one'))
  }
  return engines
}
