import type { TenantId } from '../id/ids.ts'
import type { Cut } from '../usage/coordinate.ts'
import { HOUR_SECONDS, MINUTE_SECONDS } from './marks.ts'
import type { UsageStore } from './ports.ts'
import {
  hourParts,
  type MarkedBucket,
  minuteParts,
  readMarked,
  readRolled,
  type RolledMeter,
  rollupKey,
} from './rollup-store.ts'
import { Params } from './usage-sql.ts'

export interface AuditResult {
  readonly meters: number
  /** Buckets whose rollup readers would take. */
  readonly buckets: number
  readonly different: number
  readonly fixed: number
}

/** Compares rollups with the events behind them. */
export interface RollupAudit {
  /** @param fix throw away what differs and compute it again */
  audit(tenant: TenantId, fix: boolean): Promise<AuditResult>
}

const ALWAYS = { start: 0, end: 0xffff_ffff }
const RUN_HOURS_MAX = 24

/** Computes every clean bucket of a meter again, beside what is stored. With `fix`, what differs is taken out. */
export async function auditMeter(
  store: UsageStore,
  meter: RolledMeter,
  journal: Cut,
  fix: boolean,
): Promise<Omit<AuditResult, 'meters'>> {
  const hours = await cleanBuckets(store, meter, HOUR_SECONDS, ALWAYS)
  const withMinutes = await readMarked(store, meter, HOUR_SECONDS, ALWAYS)
  let buckets = 0
  const wrong: { readonly span: number; readonly bucket: number }[] = []
  for (const run of runs(withMinutes)) {
    const minutes = await cleanBuckets(store, meter, MINUTE_SECONDS, run)
    buckets += minutes.length
    for (const bucket of await differing(store, meter, MINUTE_SECONDS, minutes, (params) =>
      minuteParts(params, meter, minutes, journal),
    )) {
      wrong.push({ span: MINUTE_SECONDS, bucket })
    }
    const ofRun = hours.filter(({ bucket }) => bucket >= run.start && bucket < run.end)
    buckets += ofRun.length
    const marked = ofRun.map((hour) => ({
      hour,
      minutes: minutes.filter(({ bucket }) => bucket - (bucket % HOUR_SECONDS) === hour.bucket),
    }))
    for (const bucket of await differing(store, meter, HOUR_SECONDS, ofRun, (params) =>
      hourParts(params, meter, marked),
    )) {
      wrong.push({ span: HOUR_SECONDS, bucket })
    }
  }
  if (fix) await takeOut(store, meter, wrong)
  return { buckets, different: wrong.length, fixed: fix ? wrong.length : 0 }
}

function runs(hours: readonly MarkedBucket[]): readonly { readonly start: number; readonly end: number }[] {
  const all: { start: number; end: number }[] = []
  for (const { bucket } of hours) {
    const last = all.at(-1)
    if (last !== undefined && bucket < last.start + RUN_HOURS_MAX * HOUR_SECONDS)
      last.end = bucket + HOUR_SECONDS
    else all.push({ start: bucket, end: bucket + HOUR_SECONDS })
  }
  return all
}

async function cleanBuckets(
  store: UsageStore,
  meter: RolledMeter,
  span: number,
  range: { readonly start: number; readonly end: number },
): Promise<readonly MarkedBucket[]> {
  const rolled = await readRolled(store, meter, span, range)
  return (await readMarked(store, meter, span, range)).filter(({ bucket, sig }) => rolled.get(bucket) === sig)
}

/** Buckets where the stored parts are not just the computed ones. */
async function differing(
  store: UsageStore,
  meter: RolledMeter,
  span: number,
  buckets: readonly MarkedBucket[],
  computed: (params: Params) => string,
): Promise<readonly number[]> {
  if (buckets.length === 0) return []
  const params = new Params()
  const first = buckets[0]?.bucket ?? 0
  const last = buckets.at(-1)?.bucket ?? 0
  const sigs: number[] = Array.from({ length: (last - first) / span + 1 }, () => 0)
  for (const { bucket, sig } of buckets) sigs[(bucket - first) / span] = sig
  const start = params.bind('UInt32', first)
  const rows = await store.query<{ second: number }>(
    `SELECT DISTINCT toUnixTimestamp(bucket) AS second FROM (
       SELECT bucket, subject, dims, events, unusable, toString(a) AS a, 1 AS side FROM (${computed(params)})
       UNION ALL
       SELECT bucket, subject, dims, events, unusable, toString(a) AS a, 2 AS side FROM usage_rollups FINAL
       WHERE ${rollupKey(params, meter, span)}
         AND bucket >= toDateTime(${start}, 'UTC') AND bucket <= toDateTime(${params.bind('UInt32', last)}, 'UTC')
         AND sig = ${params.bind('Array(UInt64)', sigs)}[intDiv(toUnixTimestamp(bucket) - ${start}, ${span}) + 1])
     GROUP BY bucket, subject, dims
     HAVING count() != 2 OR uniqExact(events, unusable, ifNull(a, '')) != 1`,
    params.values,
    'background',
  )
  return rows.map(({ second }) => second)
}

/** Readers take the events again as soon as `usage_rolled` does not name a bucket. */
async function takeOut(
  store: UsageStore,
  meter: RolledMeter,
  wrong: readonly { readonly span: number; readonly bucket: number }[],
): Promise<void> {
  if (wrong.length === 0) return
  // An hour is the sum of its minutes: it goes with them.
  const minutes = wrong.filter(({ span }) => span === MINUTE_SECONDS).map(({ bucket }) => bucket)
  const hours = [...new Set(wrong.map(({ bucket }) => bucket - (bucket % HOUR_SECONDS)))]
  for (const table of ['usage_rolled', 'usage_rollups']) {
    for (const [span, buckets] of [
      [HOUR_SECONDS, hours],
      [MINUTE_SECONDS, minutes],
    ] as const) {
      const params = new Params()
      await store.command(
        `ALTER TABLE ${table} DELETE WHERE ${rollupKey(params, meter, span)}
           AND toUnixTimestamp(bucket) IN ${params.bind('Array(UInt32)', buckets)} SETTINGS mutations_sync = 2`,
        params.values,
      )
    }
  }
}

/** Takes out everything that is kept of a revision of a meter. */
export async function takeOutAll(store: UsageStore, meter: RolledMeter): Promise<void> {
  for (const table of ['usage_rolled', 'usage_rollups']) {
    await store.command(
      `ALTER TABLE ${table} DELETE WHERE tenant = {tenant:String} AND meter = {meter:String} AND revision = {revision:UInt32}
       SETTINGS mutations_sync = 2`,
      { tenant: meter.tenant, meter: meter.key, revision: meter.revision },
    )
  }
}
