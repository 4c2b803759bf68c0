import type { MeteredQuantity } from '../usage/usage-query.ts'
import {
  isMergeable,
  type MergedRow,
  mergeColumns,
  nothing,
  partColumns,
  quantityOf,
  wholeColumns,
} from './aggregates.ts'
import type { UsageStore } from './ports.ts'
import type { ReadPlan } from './rolled.ts'
import { liveCondition, rollupParts } from './rollup-sql.ts'
import { timeWeightedParts } from './time-weighted-sql.ts'
import { groupKeys, ownedBy, type UsageQuestion, windowOf } from './usage-question.ts'
import { countsBefore, dimensionPath, Params, selectionCondition, valueOf, valueText } from './usage-sql.ts'

export interface QuestionRow extends MeteredQuantity {
  /** The window's start, milliseconds. */
  readonly window: number
  readonly customer: string
  readonly subject: string
  readonly group: Readonly<Record<string, string>>
}

type StatementRow = MergedRow & {
  readonly w: string
  readonly customer?: string
  readonly subject?: string
} & Readonly<Record<`g${number}`, string>>

/**
 * Asks the store. With a plan, buckets that are clean are read as parts and the others from the events; the answer is
 * the same without. Groups without events have no row. @throws RangeError for an unknown dimension
 */
export async function askUsage(
  store: UsageStore,
  question: UsageQuestion,
  plan: ReadPlan | null,
): Promise<readonly QuestionRow[]> {
  const params = new Params()
  const { meter, groupBy } = question
  const keys = groupKeys(question)
  const parts = partsOf(params, question, plan)
  const order = keys.map((key) => (key === 'w' ? 'toInt64(w)' : key))
  const rows = await store.query<StatementRow>(
    `SELECT ${keys.map((key) => (key === 'w' ? 'toString(p.w) AS w' : `p.${key} AS ${key}`)).join(', ')}, ${mergeColumns(meter.aggregation)}
     FROM (${parts}) AS p
     GROUP BY ${keys.map((key) => `p.${key}`).join(', ')}
     ORDER BY ${order.join(', ')}`,
    params.values,
  )
  return rows.map((row) => ({
    window: Number(row.w),
    customer: row.customer ?? '',
    subject: row.subject ?? '',
    group: Object.fromEntries(groupBy.map((name, i) => [name, row[`g${i}`] ?? ''])),
    ...(Number(row.events) === 0 && row.a === null ? nothing(meter) : quantityOf(meter, row)),
  }))
}

function partsOf(params: Params, question: UsageQuestion, plan: ReadPlan | null): string {
  const { aggregation } = question.meter
  if (aggregation === 'timeWeighted') return timeWeightedParts(params, question)
  const keys = groupKeys(question).join(', ')
  const columns = isMergeable(aggregation) ? partColumns(aggregation) : wholeColumns(question.meter)
  const live = `SELECT ${keys}, ${columns} FROM (${countedEvents(params, question, plan)}) AS counted GROUP BY ${keys}`
  if (plan === null) return live
  const parts = [...(plan.live.length === 0 ? [] : [live]), ...rollupParts(params, question, plan)]
  return parts.length === 0 ? live : parts.join(' UNION ALL ')
}

/** Every event that counts, with its window, owner, dimensions and value. */
function countedEvents(params: Params, question: UsageQuestion, plan: ReadPlan | null): string {
  const { tenant, meter, cut, owners, groupBy } = question
  const paths = groupBy.map((name) => params.bind('String', dimensionPath(meter, name)))
  const events = `SELECT subject, ts, ingested_at, kp, ko, ki, toUnixTimestamp64Milli(ts) AS ms,
      ${windowOf(params, question, 'toUnixTimestamp64Milli(ts)')} AS w,
      ${paths.map((path, i) => `props[${path}] AS g${i}, `).join('')}
      ${valueText(params, meter)} AS text, ${valueOf('text')} AS v
    FROM usage_events FINAL
    WHERE ${selectionCondition(params, question)}
      ${plan === null ? '' : `AND ${liveCondition(params, plan)}`}
      AND ${countsBefore(params, tenant, cut)}`
  if (owners === null) return events
  const owned = [...new Set(owners.map(({ subject }) => subject as string))]
  return ownedBy(params, `${events} AND subject IN ${params.bind('Array(String)', owned)}`, owners)
}
