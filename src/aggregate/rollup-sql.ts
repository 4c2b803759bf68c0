import { HOUR_SECONDS, MINUTE_SECONDS } from './marks.ts'
import type { ReadPlan } from './rolled.ts'
import { dimensionsOf, rollupKey } from './rollup-store.ts'
import type { Params } from './usage-sql.ts'
import { groupKeys, ownedBy, type UsageQuestion, windowOf } from './usage-question.ts'

/** Which events a question reads one by one. */
export function liveCondition(params: Params, { live }: ReadPlan): string {
  if (live.length === 0) return '0'
  const at = (seconds: number): string => `toDateTime(${params.bind('UInt32', seconds)}, 'UTC')`
  return `(${live
    .map(({ start, end }) => `(toStartOfMinute(ts) >= ${at(start)} AND toStartOfMinute(ts) < ${at(end)})`)
    .join(' OR ')})`
}

/** The parts that a question reads from rollups, one statement for each length of bucket; empty when there are none. */
export function rollupParts(params: Params, question: UsageQuestion, plan: ReadPlan): readonly string[] {
  return [
    ...(plan.hours.size === 0 ? [] : [partsOf(params, question, HOUR_SECONDS, plan.hours)]),
    ...(plan.minutes.size === 0 ? [] : [partsOf(params, question, MINUTE_SECONDS, plan.minutes)]),
  ]
}

function partsOf(
  params: Params,
  question: UsageQuestion,
  span: number,
  buckets: ReadonlyMap<number, number>,
): string {
  const { meter, subjects, filters, groupBy, owners } = question
  const first = Math.min(...buckets.keys())
  const last = Math.max(...buckets.keys())
  const sigs: number[] = Array.from({ length: (last - first) / span + 1 }, () => 0)
  for (const [bucket, sig] of buckets) sigs[(bucket - first) / span] = sig
  const names = dimensionsOf(meter)
  const dim = (name: string): string => `dims[${names.indexOf(name) + 1}]`
  const at = (seconds: number): string => `toDateTime(${params.bind('UInt32', seconds)}, 'UTC')`
  const chunk = span === HOUR_SECONDS ? 'toStartOfMonth' : 'toStartOfHour'
  const conditions = [
    rollupKey(params, meter, span),
    `chunk >= ${chunk}(${at(first)}) AND chunk <= ${at(last)}`,
    `bucket >= ${at(first)} AND bucket <= ${at(last)}`,
    `sig = ${params.bind('Array(UInt64)', sigs)}[intDiv(toUnixTimestamp(bucket) - ${params.bind('UInt32', first)}, ${span}) + 1]`,
    ...(subjects === null ? [] : [`subject IN ${params.bind('Array(String)', subjects)}`]),
    ...Object.entries(filters).map(
      ([name, values]) => `${dim(name)} IN ${params.bind('Array(String)', values)}`,
    ),
  ]
  if (owners !== null) {
    const owned = [...new Set(owners.map(({ subject }) => subject as string))]
    conditions.push(`subject IN ${params.bind('Array(String)', owned)}`)
  }
  const rows = `SELECT subject, toInt64(toUnixTimestamp(bucket)) * 1000 AS ms, ${windowOf(params, question, 'toInt64(toUnixTimestamp(bucket)) * 1000')} AS w,
      ${groupBy.map((name, i) => `${dim(name)} AS g${i}, `).join('')} events, unusable, a, at
    FROM usage_rollups FINAL WHERE ${conditions.join(' AND ')}`
  const at_ = meter.aggregation === 'latest' ? ', at' : ''
  return `SELECT ${groupKeys(question).join(', ')}, events, unusable, a${at_} FROM (${
    owners === null ? rows : ownedBy(params, rows, owners)
  }) AS rolled`
}
