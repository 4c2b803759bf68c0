import type { Cut } from '../usage/coordinate.ts'
import { voidedMinutes } from './finding-marks.ts'
import { HOUR_SECONDS, MINUTE_SECONDS } from './marks.ts'
import type { UsageStore } from './ports.ts'
import { type BucketRange, hasRollups } from './rollup-store.ts'
import type { UsageQuestion } from './usage-question.ts'

/** A bucket with events: whether its rollup is of just the marks that it has. */
export interface BucketState {
  /** Seconds since the epoch. */
  readonly bucket: number
  readonly sig: number
  readonly clean: boolean
}

/** What a question reads where: hours and minutes as parts, by bucket → sum of marks, and ranges from the events. */
export interface ReadPlan {
  readonly hours: ReadonlyMap<number, number>
  readonly minutes: ReadonlyMap<number, number>
  /** In order, seconds. Time that is in none of the three has no events. */
  readonly live: readonly BucketRange[]
}

/** Ranges of one statement's condition; beyond it small gaps between them are read from the events too. */
const LIVE_RANGES_MAX = 64

/**
 * Looks up what can be read from rollups as of a cut; null where everything is to be read from the events. The cut
 * must have been taken before: whatever changed a bucket before the cut had marked it by then.
 */
export async function planReading(store: UsageStore, question: UsageQuestion): Promise<ReadPlan | null> {
  const { meter, tenant, cut, interval } = question
  if (!hasRollups(meter)) return null
  const voided = (await voidedMinutes(store, tenant, cut))
    .filter(({ type }) => type === meter.eventType)
    .map(({ minute }) => minute)
  const broken = brokenBuckets(question, voided)
  const range = {
    start: floor(interval.start, HOUR_SECONDS),
    end: floor(interval.end - 1, HOUR_SECONDS) + HOUR_SECONDS,
  }
  const hours = await readStates(store, question, HOUR_SECONDS, range, null)
  const split = hours
    .filter(({ bucket, clean }) => !clean || broken.hours.has(bucket))
    .map(({ bucket }) => bucket)
  const minutes = split.length === 0 ? [] : await readStates(store, question, MINUTE_SECONDS, range, split)
  const inside = minutes.filter(
    ({ bucket }) => (bucket + MINUTE_SECONDS) * 1000 > interval.start && bucket * 1000 < interval.end,
  )
  return planOf(hours, inside, broken)
}

export interface BrokenBuckets {
  readonly hours: ReadonlySet<number>
  readonly minutes: ReadonlySet<number>
}

/** Buckets of which only a part may be counted, or of which not everything is known: they are taken apart. */
export function brokenBuckets(
  { windows, owners, interval }: Pick<UsageQuestion, 'windows' | 'owners' | 'interval'>,
  voided: readonly number[],
): BrokenBuckets {
  const hours = new Set(voided.map((minute) => minute - (minute % HOUR_SECONDS)))
  const minutes = new Set(voided)
  const borders = [
    ...windows.flatMap(({ start, end }) => [start, end]),
    ...(owners ?? []).flatMap(({ from, until }) => [from, until]),
  ]
  for (const at of borders) {
    if (at === null || at < interval.start || at > interval.end) continue
    if (at % (HOUR_SECONDS * 1000) !== 0) hours.add(floor(at, HOUR_SECONDS))
    if (at % (MINUTE_SECONDS * 1000) !== 0) minutes.add(floor(at, MINUTE_SECONDS))
  }
  return { hours, minutes }
}

/** Milliseconds → the start of their bucket, seconds. */
function floor(ms: number, span: number): number {
  return Math.floor(ms / 1000 / span) * span
}

/** Puts the plan together: clean buckets as parts, the others from the events. Pure. */
export function planOf(
  hourStates: readonly BucketState[],
  minuteStates: readonly BucketState[],
  broken: BrokenBuckets,
): ReadPlan {
  const hours = new Map<number, number>()
  const minutes = new Map<number, number>()
  const units: { readonly start: number; readonly end: number; readonly isLive: boolean }[] = []
  for (const { bucket, sig, clean } of hourStates) {
    if (!clean || broken.hours.has(bucket)) continue
    hours.set(bucket, sig)
    units.push({ start: bucket, end: bucket + HOUR_SECONDS, isLive: false })
  }
  for (const { bucket, sig, clean } of minuteStates) {
    const isLive = !clean || broken.minutes.has(bucket)
    if (!isLive) minutes.set(bucket, sig)
    units.push({ start: bucket, end: bucket + MINUTE_SECONDS, isLive })
  }
  const ranges: { start: number; end: number }[] = []
  let isOpen = false
  for (const { start, end, isLive } of units.toSorted((a, b) => a.start - b.start)) {
    const last = ranges.at(-1)
    if (!isLive) isOpen = false
    else if (isOpen && last !== undefined) last.end = end
    else {
      ranges.push({ start, end })
      isOpen = true
    }
  }
  const live = joinNearest(ranges, LIVE_RANGES_MAX)
  for (const { start, end } of live) {
    for (let bucket = start - (start % HOUR_SECONDS); bucket < end; bucket += HOUR_SECONDS)
      hours.delete(bucket)
    for (let bucket = start; bucket < end; bucket += MINUTE_SECONDS) minutes.delete(bucket)
  }
  return { hours, minutes, live }
}

/** Joins ranges over the smallest gaps between them until there are few enough. */
function joinNearest(ranges: readonly BucketRange[], countMax: number): readonly BucketRange[] {
  if (ranges.length <= countMax) return ranges
  const gaps = ranges
    .slice(1)
    .map(({ start }, i) => ({ at: i + 1, length: start - (ranges[i]?.end ?? start) }))
    .toSorted((a, b) => b.length - a.length)
  const kept = new Set(gaps.slice(0, countMax - 1).map(({ at }) => at))
  const joined: { start: number; end: number }[] = []
  for (const [i, { start, end }] of ranges.entries()) {
    const last = joined.at(-1)
    if (last === undefined || kept.has(i)) joined.push({ start, end })
    else last.end = end
  }
  return joined
}

async function readStates(
  store: UsageStore,
  { tenant, meter, cut }: UsageQuestion,
  span: number,
  { start, end }: BucketRange,
  within: readonly number[] | null,
): Promise<readonly BucketState[]> {
  const inside = `bucket >= toDateTime({start:UInt32}, 'UTC') AND bucket < toDateTime({end:UInt32}, 'UTC')
    ${within === null ? '' : 'AND toUnixTimestamp(toStartOfHour(bucket)) IN {within:Array(UInt32)}'}`
  const rows = await store.query<{ second: number; sig: string; clean: number }>(
    `SELECT toUnixTimestamp(m.bucket) AS second, m.sig AS sig,
            r.sig = m.sig AND r.reach <= {reach:UInt64} AS clean
     FROM (
       SELECT bucket, sum(ko) AS sig FROM (
         SELECT bucket, kp, max(ko) AS ko FROM usage_marks
         WHERE tenant = {tenant:String} AND type = {type:String} AND span = {span:UInt32} AND ${inside}
         GROUP BY bucket, kp)
       GROUP BY bucket) AS m
     LEFT JOIN (
       SELECT bucket, sig, reach FROM usage_rolled FINAL
       WHERE tenant = {tenant:String} AND meter = {meter:String} AND revision = {revision:UInt32}
         AND span = {span:UInt32} AND ${inside}) AS r ON r.bucket = m.bucket
     ORDER BY m.bucket`,
    {
      ...{ tenant, type: meter.eventType, meter: meter.key, revision: meter.revision, span },
      ...{ start: Math.max(0, start), end: Math.min(0xffff_ffff, end), reach: reachOf(cut) },
      ...(within === null ? {} : { within }),
    },
  )
  return rows.map(({ second, sig, clean }) => ({
    bucket: second,
    sig: Number(sig),
    clean: Boolean(clean),
  }))
}

/** How far a journal reaches, as one number that only grows. */
function reachOf(journal: Cut): number {
  return journal.reduce((sum, { offset }) => sum + offset, 0)
}
