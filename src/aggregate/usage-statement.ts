import type { SubjectId, TenantId } from '../id/ids.ts'
import type { Interval } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { Meter } from '../usage/meter.ts'
import type { MeteredQuantity, SubjectOwner } from '../usage/usage-query.ts'
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
import type { RolledMinutes } from './rolled.ts'
import { rollupParts } from './rollup-sql.ts'
import { timeWeightedParts } from './time-weighted-sql.ts'
import { countsBefore, dimensionPath, Params, selectionCondition, valueOf, valueText } from './usage-sql.ts'

/** Which events of a meter are to be counted, as of a cut, and into which groups. */
export interface UsageQuestion {
  readonly tenant: TenantId
  readonly meter: Meter
  readonly interval: Interval
  /** In order, without gaps; they partition the interval. */
  readonly windows: readonly Interval[]
  readonly subjects: readonly SubjectId[] | null
  readonly owners: readonly SubjectOwner[] | null
  readonly byCustomer: boolean
  readonly bySubject: boolean
  readonly groupBy: readonly string[]
  readonly filters: Readonly<Record<string, readonly string[]>>
  readonly cut: Cut
}

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

/** The columns that part the answer into rows. */
export function groupKeys({ byCustomer, bySubject, groupBy }: UsageQuestion): readonly string[] {
  return [
    'w',
    ...(byCustomer ? ['customer'] : []),
    ...(bySubject ? ['subject'] : []),
    ...groupBy.map((_, i) => `g${i}`),
  ]
}

/**
 * Asks the store. With rollups, minutes that are clean are read as parts and the others from the events; the answer
 * is the same without. Groups without events have no row. @throws RangeError for an unknown dimension
 */
export async function askUsage(
  store: UsageStore,
  question: UsageQuestion,
  rolled: RolledMinutes | null,
): Promise<readonly QuestionRow[]> {
  const params = new Params()
  const { meter, groupBy } = question
  const keys = groupKeys(question)
  const parts = partsOf(params, question, rolled)
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

function partsOf(params: Params, question: UsageQuestion, rolled: RolledMinutes | null): string {
  const { aggregation } = question.meter
  if (aggregation === 'timeWeighted') return timeWeightedParts(params, question)
  const keys = groupKeys(question).join(', ')
  const columns = isMergeable(aggregation) ? partColumns(aggregation) : wholeColumns(question.meter)
  const live = `SELECT ${keys}, ${columns} FROM (${countedEvents(params, question, rolled)}) AS counted GROUP BY ${keys}`
  if (rolled === null || !isMergeable(aggregation)) return live
  return `${live} UNION ALL ${rollupParts(params, question, rolled)}`
}

/** Every event that counts, with its window, owner, dimensions and value. */
function countedEvents(params: Params, question: UsageQuestion, rolled: RolledMinutes | null): string {
  const { tenant, meter, cut, owners, groupBy } = question
  const paths = groupBy.map((name) => params.bind('String', dimensionPath(meter, name)))
  const events = `SELECT subject, ts, ingested_at, kp, ko, ki, toUnixTimestamp64Milli(ts) AS ms,
      ${windowOf(params, question, 'toUnixTimestamp64Milli(ts)')} AS w,
      ${paths.map((path, i) => `props[${path}] AS g${i}, `).join('')}
      ${valueText(params, meter)} AS text, ${valueOf('text')} AS v
    FROM usage_events FINAL
    WHERE ${selectionCondition(params, question)}
      ${rolled === null ? '' : `AND ${rolled.liveCondition(params)}`}
      AND ${countsBefore(params, tenant, cut)}`
  return owners === null ? events : ownedBy(params, events, owners)
}

/** The start of the window that a time in milliseconds lies in. */
export function windowOf(params: Params, { windows }: UsageQuestion, ms: string): string {
  const starts = windows.map(({ start }) => start as number)
  return `roundDown(${ms}, ${params.bind('Array(Int64)', starts)})`
}

/** Rows with `subject` and `ms` joined with whose they are: a row is in at most one span of its subject. */
export function ownedBy(params: Params, rows: string, owners: readonly SubjectOwner[]): string {
  return `SELECT e.*, o.customer AS customer FROM (${rows}) AS e INNER JOIN (${ownerSpans(params, owners)}) AS o
    ON e.subject = o.subject WHERE e.ms >= o.from AND e.ms < o.until`
}

export function ownerSpans(params: Params, owners: readonly SubjectOwner[]): string {
  const subjects = owners.map(({ subject }) => subject as string)
  const customers = owners.map(({ customer }) => customer as string)
  const froms = owners.map(({ from }) => from ?? Number.MIN_SAFE_INTEGER)
  const untils = owners.map(({ until }) => until ?? Number.MAX_SAFE_INTEGER)
  return `SELECT s.1 AS subject, s.2 AS customer, s.3 AS from, s.4 AS until FROM (
      SELECT arrayJoin(arrayZip(${params.bind('Array(String)', subjects)}, ${params.bind('Array(String)', customers)},
        ${params.bind('Array(Int64)', froms)}, ${params.bind('Array(Int64)', untils)})) AS s)`
}
