import type { TenantId } from '../id/ids.ts'
import { type Cut, covers } from '../usage/coordinate.ts'
import type { AggregateMetrics, UsageStore } from './ports.ts'
import { markConflicts } from './finding-marks.ts'
import { RowWriter } from './row-binary.ts'
import { readSwept, writeSwept } from './sweeps.ts'
import { beforeCut, offsetsOf, Params, timeCondition } from './usage-sql.ts'
import { type Instant, instantOf } from '../time/instant.ts'

/** An identity is one event for as long as the accept window reaches: copies whose times lie further apart are other events. */
export const IDENTITY_HORIZON_MS = 35 * 86_400_000

/** Identities are looked at in slices of about so many rows, so that memory is bounded. */
const SLICE_ROWS = 5_000_000
const IDENTITIES_PER_QUERY = 1000

/** A row of an identity as the table has it after equal keys were united. */
export interface CopyRow {
  readonly source: string
  readonly id: string
  readonly type: string
  readonly subject: string
  readonly timeMs: number
  readonly partition: number
  readonly offset: number
  readonly index: number
}

export interface Conflict {
  readonly copy: CopyRow
  readonly first: CopyRow
}

/**
 * Which copies of one identity do not count: those that come later on the log than one that counts and whose time is
 * within the horizon. A pure function of the copies, whoever looks and how often.
 */
export function conflictsAmong(copies: readonly CopyRow[]): readonly Conflict[] {
  const canonical: CopyRow[] = []
  const conflicts: Conflict[] = []
  for (const copy of copies.toSorted((a, b) => a.offset - b.offset || a.index - b.index)) {
    const first = canonical.find((earlier) => Math.abs(earlier.timeMs - copy.timeMs) <= IDENTITY_HORIZON_MS)
    if (first === undefined) canonical.push(copy)
    else conflicts.push({ copy, first })
  }
  return conflicts
}

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
      await writeConflicts(store, tenant, epoch, found)
      await markConflicts(
        store,
        tenant,
        found.map(({ copy }) => copy),
      )
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
    for (let i = 0; i < identities.length; i += IDENTITIES_PER_QUERY) {
      const copies = await copiesOf(store, tenant, identities.slice(i, i + IDENTITIES_PER_QUERY), to)
      for (const ofOne of Map.groupBy(copies, ({ source, id }) => JSON.stringify([source, id])).values()) {
        conflicts.push(...conflictsAmong(ofOne))
      }
    }
  }
  return conflicts
}

function arrivedBetween(params: Params, tenant: TenantId, from: Cut, to: Cut): string {
  const offsets = offsetsOf(from)
  const least = to.reduce((min, { partition }) => Math.min(min, offsets[partition] ?? 0), Infinity)
  return `tenant = ${params.bind('String', tenant)} AND ${beforeCut(params, to)}
    AND ko >= ${params.bind('UInt64', least)} AND ko >= ${params.bind('Array(UInt64)', offsets)}[kp + 1]`
}

interface Identity {
  readonly source: string
  readonly id: string
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

/** The copies of identities before a cut, equal keys united. */
export async function copiesOf(
  store: UsageStore,
  tenant: TenantId,
  identities: readonly Identity[],
  cut: Cut,
): Promise<readonly CopyRow[]> {
  const params = new Params()
  const sources = params.bind(
    'Array(String)',
    identities.map(({ source }) => source),
  )
  const ids = params.bind(
    'Array(String)',
    identities.map(({ id }) => id),
  )
  const rows = await store.query<{
    readonly source: string
    readonly id: string
    readonly type: string
    readonly subject: string
    readonly ts_ms: string
    readonly kp: number
    readonly ko: string
    readonly ki: number
  }>(
    `SELECT source, id, type, subject, toUnixTimestamp64Milli(ts) AS ts_ms, kp, ko, ki FROM usage_events
     WHERE tenant = ${params.bind('String', tenant)} AND id IN ${ids}
       AND (toString(source), id) IN arrayZip(${sources}, ${ids})
       AND ${beforeCut(params, cut)}
     ORDER BY ko, ki LIMIT 1 BY source, id, type, toStartOfMinute(ts), subject`,
    params.values,
    'background',
  )
  return rows.map((row) => ({
    source: row.source,
    id: row.id,
    type: row.type,
    subject: row.subject,
    timeMs: Number(row.ts_ms),
    partition: row.kp,
    offset: Number(row.ko),
    index: row.ki,
  }))
}

async function writeConflicts(
  store: UsageStore,
  tenant: TenantId,
  epoch: number,
  conflicts: readonly Conflict[],
): Promise<void> {
  const rows = new RowWriter()
  for (const { copy, first } of conflicts) {
    const letters =
      tenant.length + copy.source.length + copy.id.length + copy.type.length + copy.subject.length
    rows.reserve(128 + 3 * letters)
    rows.string(tenant)
    rows.string(copy.source)
    rows.string(copy.id)
    rows.uint16(epoch)
    rows.uint16(copy.partition)
    rows.int64(copy.offset)
    rows.uint16(copy.index)
    rows.string(copy.type)
    rows.int64(copy.timeMs)
    rows.string(copy.subject)
    rows.int64(first.offset)
    rows.uint16(first.index)
    rows.endRow()
  }
  await store.insert({
    table: 'usage_conflicts',
    columns: [
      ['tenant', 'LowCardinality(String)'],
      ['source', 'LowCardinality(String)'],
      ['id', 'String'],
      ['tp', 'UInt16'],
      ['kp', 'UInt16'],
      ['ko', 'UInt64'],
      ['ki', 'UInt16'],
      ['type', 'LowCardinality(String)'],
      ['ts', "DateTime64(3, 'UTC')"],
      ['subject', 'String'],
      ['first_ko', 'UInt64'],
      ['first_ki', 'UInt16'],
    ],
    chunks: rows.chunks(),
    rows: rows.rows,
  })
}
