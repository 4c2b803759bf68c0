import type { TenantId } from '../id/ids.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import { type Cut, covers } from '../usage/coordinate.ts'
import {
  type Conflict,
  conflictsOf,
  type Identity,
  IDENTITY_HORIZON_MS,
  recordConflicts,
} from './conflict-rows.ts'
import type { AggregateMetrics, UsageStore } from './ports.ts'
import { readSwept, writeSwept } from './sweeps.ts'
import { beforeCut, offsetsOf, Params, timeCondition } from './usage-sql.ts'

/** Identities are looked at in slices of about so many rows, so that memory is bounded. */
const SLICE_ROWS = 5_000_000

/**
 * Finds copies of an identity that say another time, subject or type than the first copy. They have another key, so
 * the table does not unite them, and every reader leaves out what is found here.
 */
export interface ConflictSweeper {
  /**
   * Resolves when every conflict of the tenant before the cut is known, with how many this search has found. The
   * journal must have reached the cut.
   */
  sweep(tenant: TenantId, cut: Cut): Promise<number>
}

export interface ConflictSweeperDeps {
  readonly store: UsageStore
  readonly metrics: AggregateMetrics
  readonly epoch: number
}

export function createConflictSweeper({ store, metrics, epoch }: ConflictSweeperDeps): ConflictSweeper {
  const swept = new Map<TenantId, Cut>()
  const running = new Map<TenantId, Promise<number>>()

  const run = async (tenant: TenantId, cut: Cut): Promise<number> => {
    const from = swept.get(tenant) ?? (await readSwept(store, tenant, 'conflict'))
    swept.set(tenant, from)
    if (covers(from, cut)) return 0
    const found = await findConflicts(store, tenant, from, cut)
    if (found.length > 0) {
      await recordConflicts(store, tenant, epoch, found)
      metrics.conflictsFound(found.length)
    }
    await writeSwept(store, tenant, 'conflict', cut)
    swept.set(tenant, cut)
    return found.length
  }

  return {
    sweep: async (tenant, cut) => {
      for (let before = running.get(tenant); before !== undefined; before = running.get(tenant)) {
        await Promise.allSettled([before])
      }
      const known = swept.get(tenant)
      if (known !== undefined && covers(known, cut)) return 0
      const task = run(tenant, cut).finally(() => running.delete(tenant))
      running.set(tenant, task)
      return task
    },
  }
}

/** Conflicts one of whose copies came between the two cuts. */
async function findConflicts(
  store: UsageStore,
  tenant: TenantId,
  from: Cut,
  to: Cut,
): Promise<readonly Conflict[]> {
  const params = new Params()
  const arrived = arrivedBetween(params, tenant, from, to)
  const [extent] = await store.query<{ rows: string; first_ms: string; last_ms: string }>(
    `SELECT count() AS rows, toUnixTimestamp64Milli(min(ts)) AS first_ms, toUnixTimestamp64Milli(max(ts)) AS last_ms
     FROM usage_events WHERE ${arrived}`,
    params.values,
    'background',
  )
  const rows = Number(extent?.rows ?? 0)
  if (extent === undefined || rows === 0) return []
  const around = {
    start: instantOf(Math.max(0, Number(extent.first_ms) - IDENTITY_HORIZON_MS)),
    end: instantOf(Number(extent.last_ms) + IDENTITY_HORIZON_MS + 1),
  }
  const slices = Math.ceil(rows / SLICE_ROWS)
  const conflicts: Conflict[] = []
  for (let slice = 0; slice < slices; slice++) {
    const identities = await suspects(store, tenant, from, to, around, slice, slices)
    conflicts.push(...(await conflictsOf(store, tenant, identities, to)))
  }
  return conflicts
}

function arrivedBetween(params: Params, tenant: TenantId, from: Cut, to: Cut): string {
  const offsets = offsetsOf(from)
  const least = to.reduce((min, { partition }) => Math.min(min, offsets[partition] ?? 0), Infinity)
  return `tenant = ${params.bind('String', tenant)} AND ${beforeCut(params, to)}
    AND ko >= ${params.bind('UInt64', least)} AND ko >= ${params.bind('Array(UInt64)', offsets)}[kp + 1]`
}

/** Identities of newly arrived events that have more than one key. */
async function suspects(
  store: UsageStore,
  tenant: TenantId,
  from: Cut,
  to: Cut,
  around: { readonly start: Instant; readonly end: Instant },
  slice: number,
  slices: number,
): Promise<readonly Identity[]> {
  const params = new Params()
  const inSlice = `cityHash64(source, id) % ${params.bind('UInt32', slices)} = ${params.bind('UInt32', slice)}`
  const hasArrived = from.some(({ offset }) => offset > 0)
    ? `AND (source, id) IN (SELECT source, id FROM usage_events WHERE ${arrivedBetween(params, tenant, from, to)} AND ${inSlice})`
    : ''
  return store.query<Identity>(
    `SELECT source, id FROM usage_events
     WHERE tenant = ${params.bind('String', tenant)} AND ${timeCondition(params, around)} AND ${beforeCut(params, to)}
       AND ${inSlice} ${hasArrived}
     GROUP BY source, id
     HAVING min(cityHash64(type, toStartOfMinute(ts), subject)) != max(cityHash64(type, toStartOfMinute(ts), subject))`,
    params.values,
    'background',
  )
}
