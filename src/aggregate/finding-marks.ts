import type { TenantId } from '../id/ids.ts'
import type { Cut } from '../usage/coordinate.ts'
import { VOID_TYPE } from '../usage/event.ts'
import {
  type BucketMark,
  CONFLICTS_FOUND,
  HOUR_SECONDS,
  MINUTE_SECONDS,
  VOIDS_FOUND,
  writeMarks,
} from './marks.ts'
import type { UsageStore } from './ports.ts'
import { writeSwept } from './sweeps.ts'
import { beforeCut, Params } from './usage-sql.ts'

const SPANS = [MINUTE_SECONDS, HOUR_SECONDS]
const VOIDS_PER_QUERY = 1000

/** Where a copy that does not count would have. */
export interface CopyAt {
  readonly type: string
  readonly timeMs: number
}

/** Marks what the losing copies lay in, after they are durable: by how many are known there by now. */
export async function markConflicts(
  store: UsageStore,
  tenant: TenantId,
  copies: readonly CopyAt[],
): Promise<void> {
  const marks: BucketMark[] = []
  for (const [type, ofType] of Map.groupBy(copies, ({ type }) => type)) {
    for (const span of SPANS) {
      const buckets = [...new Set(ofType.map(({ timeMs }) => bucketOf(timeMs, span)))]
      const rows = await store.query<{ bucket: string; known: string }>(
        `SELECT toUInt64(intDiv(toUnixTimestamp(ts), {span:UInt32}) * {span:UInt32}) AS bucket, count() AS known
         FROM usage_conflicts FINAL WHERE tenant = {tenant:String} AND type = {type:String}
         GROUP BY bucket HAVING bucket IN {buckets:Array(UInt32)}`,
        { tenant, type, span, buckets },
        'background',
      )
      for (const { bucket, known } of rows) {
        marks.push({
          tenant,
          type,
          span,
          bucket: Number(bucket),
          partition: CONFLICTS_FOUND,
          end: Number(known),
        })
      }
    }
  }
  await writeMarks(store, marks)
}

function bucketOf(timeMs: number, span: number): number {
  return Math.floor(timeMs / 1000 / span) * span
}

/** A minute in which a void took an event back. */
export interface VoidedMinute {
  readonly type: string
  /** Seconds since the epoch. */
  readonly minute: number
}

/**
 * The minutes of events that voids before the cut took back and that are not marked for it yet, as far as those
 * events are there. An event that comes after its void marks its own minute.
 */
export async function voidedMinutes(
  store: UsageStore,
  tenant: TenantId,
  cut: Cut,
): Promise<readonly VoidedMinute[]> {
  const params = new Params()
  const voids = await store.query<{ source: string; id: string }>(
    `SELECT DISTINCT v.source AS source, v.id AS id FROM (
       SELECT props['target.source'] AS source, props['target.id'] AS id, kp, ko FROM usage_events
       WHERE tenant = ${params.bind('String', tenant)} AND type = '${VOID_TYPE}' AND ${beforeCut(params, cut)}) AS v
     LEFT JOIN (SELECT kp, max(ko) AS swept FROM usage_sweeps
       WHERE tenant = ${params.bind('String', tenant)} AND kind = 'void' GROUP BY kp) AS s ON s.kp = v.kp
     WHERE v.ko >= s.swept`,
    params.values,
  )
  const minutes: VoidedMinute[] = []
  for (let i = 0; i < voids.length; i += VOIDS_PER_QUERY) {
    const some = voids.slice(i, i + VOIDS_PER_QUERY)
    const rows = await store.query<{ type: string; minute: string }>(
      `SELECT DISTINCT type, toString(toUnixTimestamp(toStartOfMinute(ts))) AS minute FROM usage_events
       WHERE tenant = {tenant:String} AND id IN {ids:Array(String)}
         AND (toString(source), id) IN arrayZip({sources:Array(String)}, {ids:Array(String)})`,
      { tenant, sources: some.map(({ source }) => source), ids: some.map(({ id }) => id) },
    )
    minutes.push(...rows.map(({ type, minute }) => ({ type, minute: Number(minute) })))
  }
  return minutes
}

/**
 * Marks the minutes of voided events up to the journal. `journal` comes from the store, so that what is marked grows:
 * of two searches the one that reached further found all that the other one did.
 */
export async function sweepVoids(
  store: UsageStore,
  tenant: TenantId,
  journal: Cut,
): Promise<readonly VoidedMinute[]> {
  const found = await voidedMinutes(store, tenant, journal)
  const end = journal.reduce((sum, { offset }) => sum + offset, 0)
  const marks = found.flatMap(({ type, minute }) =>
    SPANS.map((span) => ({
      tenant,
      type,
      span,
      bucket: minute - (minute % span),
      partition: VOIDS_FOUND,
      end,
    })),
  )
  await writeMarks(store, marks)
  await writeSwept(store, tenant, 'void', journal)
  return found
}
