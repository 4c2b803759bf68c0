import type { Cut } from '../usage/coordinate.ts'
import type { Meter } from '../usage/meter.ts'
import { isMergeable, mergedPart, type MergeableAggregation, partColumns } from './aggregates.ts'
import { CONFLICTS_FOUND, HOUR_SECONDS, MINUTE_SECONDS } from './marks.ts'
import type { UsageStore } from './ports.ts'
import { RowWriter } from './row-binary.ts'
import { countsBefore, Params, selectionCondition, valueOf, valueText } from './usage-sql.ts'
import { instantOf } from '../time/instant.ts'

/** A meter whose parts are kept. Its revision is part of every key: another revision has other rollups. */
export type RolledMeter = Meter & { readonly aggregation: MergeableAggregation }

export function hasRollups(meter: Meter): meter is RolledMeter {
  return isMergeable(meter.aggregation)
}

/** A bucket and the sum of its marks. What is computed at this sum is what the marks cover and nothing else. */
export interface MarkedBucket {
  /** Seconds since the epoch. */
  readonly bucket: number
  readonly sig: number
  /** By partition; findings are not in it. */
  readonly ends: readonly number[]
}

export interface BucketRange {
  readonly start: number
  readonly end: number
}

/** Names in a fixed order, so that the values in `dims` have fixed places. */
export function dimensionsOf(meter: Meter): readonly string[] {
  return Object.keys(meter.groupBy).toSorted()
}

/** The buckets of a range that events have arrived for. */
export async function readMarked(
  store: UsageStore,
  meter: Meter,
  span: number,
  { start, end }: BucketRange,
): Promise<readonly MarkedBucket[]> {
  const rows = await store.query<{ second: number; kps: readonly number[]; kos: readonly string[] }>(
    `SELECT toUnixTimestamp(bucket) AS second, groupArray(kp) AS kps, groupArray(ko) AS kos FROM (
       SELECT bucket, kp, max(ko) AS ko FROM usage_marks
       WHERE tenant = {tenant:String} AND type = {type:String} AND span = {span:UInt32}
         AND bucket >= toDateTime({start:UInt32}, 'UTC') AND bucket < toDateTime({end:UInt32}, 'UTC')
       GROUP BY bucket, kp)
     GROUP BY bucket ORDER BY bucket`,
    { tenant: meter.tenant, type: meter.eventType, span, start, end },
    'background',
  )
  return rows.map(({ second, kps, kos }) => {
    const ends: number[] = []
    let sig = 0
    for (const [i, kp] of kps.entries()) {
      const end = Number(kos[i] ?? 0)
      sig += end
      if (kp <= CONFLICTS_FOUND - 2) ends[kp] = end
    }
    return {
      bucket: second,
      sig,
      ends: Array.from({ length: ends.length }, (_, partition) => ends[partition] ?? 0),
    }
  })
}

/** What of the marked buckets is computed as of just these marks. */
export async function readRolled(
  store: UsageStore,
  meter: Meter,
  span: number,
  { start, end }: BucketRange,
): Promise<ReadonlyMap<number, number>> {
  const rows = await store.query<{ second: number; sig: string }>(
    `SELECT toUnixTimestamp(bucket) AS second, sig FROM usage_rolled FINAL
     WHERE tenant = {tenant:String} AND meter = {meter:String} AND revision = {revision:UInt32} AND span = {span:UInt32}
       AND bucket >= toDateTime({start:UInt32}, 'UTC') AND bucket < toDateTime({end:UInt32}, 'UTC')`,
    { tenant: meter.tenant, meter: meter.key, revision: meter.revision, span, start, end },
    'background',
  )
  return new Map(rows.map(({ second, sig }) => [second, Number(sig)]))
}

/** Buckets that events have arrived for and whose rollup is not of just these marks. @param within hours, seconds */
export async function readDirty(
  store: UsageStore,
  meter: Meter,
  span: number,
  within: readonly number[] | null,
): Promise<readonly number[]> {
  const inside = within === null ? '' : 'AND toUnixTimestamp(toStartOfHour(bucket)) IN {within:Array(UInt32)}'
  const rows = await store.query<{ second: number }>(
    `SELECT toUnixTimestamp(m.bucket) AS second FROM (
       SELECT bucket, sum(ko) AS sig FROM (
         SELECT bucket, kp, max(ko) AS ko FROM usage_marks
         WHERE tenant = {tenant:String} AND type = {type:String} AND span = {span:UInt32} ${inside}
         GROUP BY bucket, kp)
       GROUP BY bucket) AS m
     LEFT JOIN (
       SELECT bucket, sig FROM usage_rolled FINAL
       WHERE tenant = {tenant:String} AND meter = {meter:String} AND revision = {revision:UInt32}
         AND span = {span:UInt32} ${inside}) AS r ON r.bucket = m.bucket
     WHERE m.sig != r.sig ORDER BY m.bucket`,
    {
      ...{ tenant: meter.tenant, type: meter.eventType, meter: meter.key, revision: meter.revision, span },
      ...(within === null ? {} : { within }),
    },
    'background',
  )
  return rows.map(({ second }) => second)
}

const KEY_COLUMNS = 'tenant, meter, revision, span, chunk, subject, dims, bucket, sig'
const ROLLUP_SETTINGS = 'async_insert = 0, insert_deduplicate = 0, max_threads = 1'

/**
 * Computes minutes from their events and writes their parts; `writeRolled` then says so. A function of the marks
 * and of what is known of voids and conflicts, whoever computes it and how often.
 */
export async function rollMinutes(
  store: UsageStore,
  meter: RolledMeter,
  minutes: readonly MarkedBucket[],
  journal: Cut,
): Promise<void> {
  const params = new Params()
  await store.command(
    `INSERT INTO usage_rollups (${KEY_COLUMNS}, events, unusable, a${atOf(meter)})
     SETTINGS ${ROLLUP_SETTINGS}, do_not_merge_across_partitions_select_final = 1
     ${minuteParts(params, meter, minutes, journal)}`,
    params.values,
  )
}

function atOf({ aggregation }: RolledMeter): string {
  return aggregation === 'latest' ? ', at' : ''
}

/** The parts of minutes, read from their events. */
export function minuteParts(
  params: Params,
  meter: RolledMeter,
  minutes: readonly MarkedBucket[],
  journal: Cut,
): string {
  const first = minutes[0]?.bucket ?? 0
  const last = minutes.at(-1)?.bucket ?? 0
  const count = (last - first) / MINUTE_SECONDS + 1
  const partitions = Math.max(1, ...minutes.map(({ ends }) => ends.length))
  const ends: number[] = Array.from({ length: count * partitions }, () => 0)
  const sigs: number[] = Array.from({ length: count }, () => 0)
  for (const { bucket, sig, ends: own } of minutes) {
    const at = (bucket - first) / MINUTE_SECONDS
    sigs[at] = sig
    for (const [partition, end] of own.entries()) ends[at * partitions + partition] = end
  }
  const selection = {
    ...{ tenant: meter.tenant, meter, subjects: null, filters: {} },
    interval: { start: instantOf(first * 1000), end: instantOf((last + MINUTE_SECONDS) * 1000) },
  }
  const minute = `intDiv(toUnixTimestamp(toStartOfMinute(ts)) - ${params.bind('UInt32', first)}, ${MINUTE_SECONDS})`
  const dims = dimensionsOf(meter).map((name) => `props[${params.bind('String', meter.groupBy[name] ?? '')}]`)
  const own = `ko < ${params.bind('Array(UInt64)', ends)}[${minute} * ${params.bind('UInt32', partitions)} + kp + 1]`
  return `SELECT ${params.bind('String', meter.tenant)} AS tenant, ${params.bind('String', meter.key)} AS meter,
      toUInt32(${params.bind('UInt32', meter.revision)}) AS revision, toUInt32(${MINUTE_SECONDS}) AS span,
      toStartOfHour(bucket) AS chunk, subject, dims, bucket,
      ${params.bind('Array(UInt64)', sigs)}[intDiv(toUnixTimestamp(bucket) - ${params.bind('UInt32', first)}, ${MINUTE_SECONDS}) + 1] AS sig,
      ${partColumns(meter.aggregation)}
    FROM (
      SELECT subject, ts, ingested_at, kp, ko, ki, toUnixTimestamp64Milli(ts) AS ms, toStartOfMinute(ts) AS bucket,
        CAST([${dims.join(', ')}], 'Array(String)') AS dims, ${valueText(params, meter)} AS text, ${valueOf('text')} AS v
      FROM usage_events FINAL
      WHERE ${selectionCondition(params, selection)} AND ${own}
        AND ${countsBefore(params, meter.tenant, journal)}
    ) AS counted
    GROUP BY bucket, subject, dims`
}

/** An hour whose minutes are all computed. */
export interface MarkedHour {
  readonly hour: MarkedBucket
  readonly minutes: readonly MarkedBucket[]
}

/** Adds up hours from the parts of their minutes. */
export async function rollHours(
  store: UsageStore,
  meter: RolledMeter,
  hours: readonly MarkedHour[],
): Promise<void> {
  const params = new Params()
  await store.command(
    `INSERT INTO usage_rollups (${KEY_COLUMNS}, events, unusable, a${atOf(meter)})
     SETTINGS ${ROLLUP_SETTINGS}
     ${hourParts(params, meter, hours)}`,
    params.values,
  )
}

export function hourParts(params: Params, meter: RolledMeter, hours: readonly MarkedHour[]): string {
  const first = hours[0]?.hour.bucket ?? 0
  const count = ((hours.at(-1)?.hour.bucket ?? 0) - first) / HOUR_SECONDS + 1
  const sigs: number[] = Array.from({ length: count }, () => 0)
  const minuteSigs: number[] = Array.from({ length: count * 60 }, () => 0)
  for (const { hour, minutes } of hours) {
    sigs[(hour.bucket - first) / HOUR_SECONDS] = hour.sig
    for (const { bucket, sig } of minutes) minuteSigs[(bucket - first) / MINUTE_SECONDS] = sig
  }
  const start = params.bind('UInt32', first)
  const end = params.bind('UInt32', first + count * HOUR_SECONDS)
  return `SELECT tenant, meter, revision, toUInt32(${HOUR_SECONDS}) AS span, toStartOfMonth(hour) AS chunk, subject, dims,
      hour AS bucket, ${params.bind('Array(UInt64)', sigs)}[intDiv(toUnixTimestamp(hour) - ${start}, ${HOUR_SECONDS}) + 1] AS sig,
      ${mergedPart(meter.aggregation)}
    FROM (
      SELECT *, toStartOfHour(bucket) AS hour FROM usage_rollups FINAL
      WHERE ${rollupKey(params, meter, MINUTE_SECONDS)}
        AND chunk >= toDateTime(${start}, 'UTC') AND chunk < toDateTime(${end}, 'UTC')
        AND sig = ${params.bind('Array(UInt64)', minuteSigs)}[intDiv(toUnixTimestamp(bucket) - ${start}, ${MINUTE_SECONDS}) + 1]
    ) AS p
    GROUP BY tenant, meter, revision, hour, subject, dims`
}

export function rollupKey(params: Params, meter: Meter, span: number): string {
  return `tenant = ${params.bind('String', meter.tenant)} AND meter = ${params.bind('String', meter.key)}
    AND revision = ${params.bind('UInt32', meter.revision)} AND span = ${span}`
}

/** After the parts are durable: the buckets are computed as of these marks. */
export async function writeRolled(
  store: UsageStore,
  meter: RolledMeter,
  span: number,
  buckets: readonly MarkedBucket[],
  journal: Cut,
): Promise<void> {
  const reach = journal.reduce((sum, { offset }) => sum + offset, 0)
  const rows = new RowWriter()
  for (const { bucket, sig } of buckets) {
    rows.reserve(96 + 3 * (meter.tenant.length + meter.key.length))
    rows.string(meter.tenant)
    rows.string(meter.key)
    rows.uint32(meter.revision)
    rows.uint32(span)
    rows.uint32(bucket)
    rows.int64(sig)
    rows.int64(reach)
    rows.endRow()
  }
  await store.insert({
    table: 'usage_rolled',
    columns: [
      ['tenant', 'LowCardinality(String)'],
      ['meter', 'LowCardinality(String)'],
      ['revision', 'UInt32'],
      ['span', 'UInt32'],
      ['bucket', "DateTime('UTC')"],
      ['sig', 'UInt64'],
      ['reach', 'UInt64'],
    ],
    chunks: rows.chunks(),
    rows: rows.rows,
  })
}
