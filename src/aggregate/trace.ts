import type { SubjectId, TenantId } from '../id/ids.ts'
import { instantOf } from '../time/instant.ts'
import type { Coordinate, Cut } from '../usage/coordinate.ts'
import { VOID_TYPE } from '../usage/event.ts'
import type { Meter } from '../usage/meter.ts'
import { partitionOf } from '../usage/partition.ts'
import { EVENT_PARTITIONS, TOPIC_EPOCH } from '../usage/topics.ts'
import type { EventTrace, TracedCopy } from '../usage/usage-query.ts'
import { conflictsAmong, type CopyRow } from './conflict-rows.ts'
import { MINUTE_SECONDS } from './marks.ts'
import type { JournalView, UsageStore } from './ports.ts'
import { hasRollups, readMarked, readRolled } from './rollup-store.ts'
import { MINUTE_MS } from './touched.ts'
import { beforeCut, Params } from './usage-sql.ts'

/** Whether a meter counts the event, and why not. */
export interface MeterTrace {
  readonly meter: Meter
  readonly outcome:
    | {
        readonly kind: 'counted'
        readonly value: string | null
        readonly minute: number
        readonly isRolled: boolean
      }
    /** A filter of the meter asks for another value. */
    | { readonly kind: 'filtered'; readonly path: string; readonly value: string }
    /** It is one of the meter's events, without a value that can be read. */
    | { readonly kind: 'unusable'; readonly path: string; readonly value: string }
}

export interface TracedEvent extends EventTrace {
  /** Where all copies of the identity are on the log. */
  readonly partition: number
  /** Meters of the canonical copy's type. */
  readonly meters: readonly MeterTrace[]
  /** Rows that are durable but not yet countable. */
  readonly pendingCopies: number
}

export interface TracerDeps {
  readonly store: UsageStore
  readonly journal: Pick<JournalView, 'ends'>
  readonly meters: (tenant: TenantId, eventType: string) => readonly Meter[]
}

export type Tracer = (tenant: TenantId, source: string, id: string) => Promise<TracedEvent>

export function createTracer({ store, journal, meters }: TracerDeps): Tracer {
  return async (tenant, source, id) => {
    const asOf = journal.ends()
    const rows = await readCopies(store, tenant, source, id)
    const ends = new Map(asOf.map(({ partition, offset }) => [partition, offset]))
    const countable = rows.filter(({ kp, ko }) => Number(ko) < (ends.get(kp) ?? 0))
    const copies = judgeCopies(countable)
    const first = copies.find(({ standing }) => standing.kind === 'canonical')
    const traced: MeterTrace[] = []
    if (first !== undefined && first.type !== VOID_TYPE) {
      for (const meter of meters(tenant, first.type)) traced.push(await meterTrace(store, meter, first))
    }
    return {
      ...{ source, id, copies, asOf, meters: traced, pendingCopies: rows.length - countable.length },
      partition: partitionOf(tenant, source, id, EVENT_PARTITIONS),
      voidedBy: await voidOf(store, tenant, source, id, asOf),
    }
  }
}

interface StoredCopy {
  readonly type: string
  readonly subject: string
  readonly ts_ms: string
  readonly ingested_ms: string
  readonly props: Readonly<Record<string, string>>
  readonly kp: number
  readonly ko: string
  readonly ki: number
}

const COPY_COLUMNS = `type, subject, toUnixTimestamp64Milli(ts) AS ts_ms, toUnixTimestamp64Milli(ingested_at) AS ingested_ms,
  props, kp, ko, ki`

function readCopies(
  store: UsageStore,
  tenant: TenantId,
  source: string,
  id: string,
): Promise<readonly StoredCopy[]> {
  return store.query<StoredCopy>(
    `SELECT DISTINCT ${COPY_COLUMNS} FROM usage_events
     WHERE tenant = {tenant:String} AND id = {id:String} AND source = {source:String} ORDER BY ko, ki`,
    { tenant, source, id },
  )
}

/** Which copy counts, and what became of the others; in log order. Pure. */
function judgeCopies(rows: readonly StoredCopy[]): readonly TracedCopy[] {
  const copies = rows.map((row) => ({ row, copy: copyOf(row) }))
  const firstOfKey = new Map<string, CopyRow>()
  for (const { copy } of copies) {
    const key = keyOf(copy)
    if (!firstOfKey.has(key)) firstOfKey.set(key, copy)
  }
  const losing = new Map(conflictsAmong([...firstOfKey.values()]).map(({ copy, first }) => [copy, first]))
  const byCopy = new Map(copies.map(({ row, copy }) => [copy, row]))
  return copies.map(({ row, copy }): TracedCopy => {
    const same = firstOfKey.get(keyOf(copy)) ?? copy
    const winner = losing.get(same) ?? same
    const coordinate = coordinateOf(winner)
    const traced = {
      coordinate: coordinateOf(copy),
      ...{ type: row.type, subject: row.subject as SubjectId, properties: row.props },
      ...{ time: instantOf(copy.timeMs), ingestedAt: instantOf(Number(row.ingested_ms)) },
    }
    if (winner === copy) return { ...traced, standing: { kind: 'canonical' } }
    const first = byCopy.get(winner)
    const isSame = winner === same && first?.ts_ms === row.ts_ms && sameProperties(first.props, row.props)
    return {
      ...traced,
      standing: isSame ? { kind: 'duplicate', of: coordinate } : { kind: 'conflict', with: coordinate },
    }
  })
}

function copyOf({ type, subject, ts_ms, kp, ko, ki }: StoredCopy): CopyRow {
  const at = { partition: kp, offset: Number(ko), index: ki }
  return { source: '', id: '', type, subject, timeMs: Number(ts_ms), ...at }
}

function keyOf({ type, subject, timeMs }: CopyRow): string {
  return JSON.stringify([type, subject, Math.floor(timeMs / MINUTE_MS)])
}

function coordinateOf({ partition, offset, index }: CopyRow): Coordinate {
  return { epoch: TOPIC_EPOCH, partition, offset, index }
}

function sameProperties(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name])
}

async function voidOf(
  store: UsageStore,
  tenant: TenantId,
  source: string,
  id: string,
  asOf: Cut,
): Promise<EventTrace['voidedBy']> {
  const params = new Params()
  const [row] = await store.query<StoredCopy & { readonly source: string; readonly id: string }>(
    `SELECT source, id, ${COPY_COLUMNS} FROM usage_events
     WHERE tenant = ${params.bind('String', tenant)} AND type = '${VOID_TYPE}'
       AND props['target.source'] = ${params.bind('String', source)} AND props['target.id'] = ${params.bind('String', id)}
       AND ${beforeCut(params, asOf)}
       AND (kp, ko, ki) NOT IN (SELECT kp, ko, ki FROM usage_conflicts WHERE tenant = ${params.bind('String', tenant)})
     ORDER BY ingested_at, kp, ko, ki LIMIT 1`,
    params.values,
  )
  if (row === undefined) return null
  return { source: row.source, id: row.id, coordinate: coordinateOf(copyOf(row)) }
}

async function meterTrace(store: UsageStore, meter: Meter, event: TracedCopy): Promise<MeterTrace> {
  for (const [path, values] of Object.entries(meter.filters)) {
    const value = event.properties[path] ?? ''
    if (!values.includes(value)) return { meter, outcome: { kind: 'filtered', path, value } }
  }
  const path = meter.valueProperty
  const value = path === undefined ? null : (event.properties[path] ?? '')
  if (path !== undefined && value !== null && !isUsable(meter, value)) {
    return { meter, outcome: { kind: 'unusable', path, value } }
  }
  const start = Math.floor(event.time / MINUTE_MS) * MINUTE_SECONDS
  return {
    meter,
    outcome: { kind: 'counted', value, minute: start, isRolled: await isRolled(store, meter, start) },
  }
}

function isUsable({ aggregation }: Meter, value: string): boolean {
  return aggregation === 'uniqueCount' ? value !== '' : /^-?0*[0-9]{1,29}(\.[0-9]{1,9}0*)?$/.test(value)
}

async function isRolled(store: UsageStore, meter: Meter, start: number): Promise<boolean> {
  if (!hasRollups(meter)) return false
  const range = { start, end: start + MINUTE_SECONDS }
  const rolled = await readRolled(store, meter, MINUTE_SECONDS, range)
  const [marked] = await readMarked(store, meter, MINUTE_SECONDS, range)
  return marked !== undefined && rolled.get(start) === marked.sig
}
