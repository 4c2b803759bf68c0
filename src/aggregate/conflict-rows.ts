import type { TenantId } from '../id/ids.ts'
import type { Cut } from '../usage/coordinate.ts'
import { markConflicts } from './finding-marks.ts'
import type { UsageStore } from './ports.ts'
import { RowWriter } from './row-binary.ts'
import { beforeCut, Params } from './usage-sql.ts'

/** An identity is one event for as long as the accept window reaches: copies whose times lie further apart are other events. */
export const IDENTITY_HORIZON_MS = 35 * 86_400_000

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

export interface Identity {
  readonly source: string
  readonly id: string
}

/** The conflicts among the copies that these identities have before a cut. */
export async function conflictsOf(
  store: UsageStore,
  tenant: TenantId,
  identities: readonly Identity[],
  cut: Cut,
): Promise<readonly Conflict[]> {
  const conflicts: Conflict[] = []
  for (let i = 0; i < identities.length; i += IDENTITIES_PER_QUERY) {
    const copies = await copiesOf(store, tenant, identities.slice(i, i + IDENTITIES_PER_QUERY), cut)
    for (const ofOne of Map.groupBy(copies, ({ source, id }) => JSON.stringify([source, id])).values()) {
      conflicts.push(...conflictsAmong(ofOne))
    }
  }
  return conflicts
}

/** Makes conflicts durable and then marks what the losing copies lay in: from here on no reader counts them. */
export async function recordConflicts(
  store: UsageStore,
  tenant: TenantId,
  epoch: number,
  conflicts: readonly Conflict[],
): Promise<void> {
  if (conflicts.length === 0) return
  await writeConflicts(store, tenant, epoch, conflicts)
  await markConflicts(
    store,
    tenant,
    conflicts.map(({ copy }) => copy),
  )
}

/** The copies of identities before a cut, equal keys united. */
async function copiesOf(
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
