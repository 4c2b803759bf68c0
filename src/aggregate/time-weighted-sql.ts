import { NO_VALUE } from './aggregates.ts'
import type { UsageQuestion } from './usage-question.ts'
import { groupKeys, ownerSpans } from './usage-question.ts'
import { instantOf } from '../time/instant.ts'
import {
  countsBefore,
  dimensionPath,
  type Params,
  selectionCondition,
  valueOf,
  valueText,
} from './usage-sql.ts'

/**
 * Parts of a `timeWeighted` meter. An event's value is the level of its series (a subject and all dimensions of the
 * meter) from its time on, until the next one's. A level is carried into an interval, over the borders of windows,
 * and from one owner of a subject to the next; each window has level × milliseconds of what lies in it.
 */
export function timeWeightedParts(params: Params, question: UsageQuestion): string {
  const { tenant, meter, interval, windows, owners, groupBy, cut } = question
  const keys = groupKeys(question).join(', ')
  const names = Object.keys(meter.groupBy)
  const series = names.map((name) => params.bind('String', dimensionPath(meter, name)))
  // The level that an interval begins with was set at any time before it.
  const history = { ...question, interval: { start: instantOf(0), end: interval.end } }
  const start = params.bind('Int64', interval.start)
  const end = params.bind('Int64', interval.end)
  const starts = params.bind(
    'Array(Int64)',
    windows.map((window) => window.start as number),
  )
  const ends = params.bind(
    'Array(Int64)',
    windows.map((window) => window.end as number),
  )
  const events = `SELECT subject, ts, ingested_at, kp, ko, ki, toUnixTimestamp64Milli(ts) AS ms,
      ${series.map((path, i) => `props[${path}] AS d${i}, `).join('')}
      ${valueText(params, meter)} AS text, ${valueOf('text')} AS v
    FROM usage_events FINAL
    WHERE ${selectionCondition(params, history)} AND ${countsBefore(params, tenant, cut)}`
  const partition = ['subject', ...series.map((_, i) => `d${i}`)].join(', ')
  const groups = groupBy.map((name, i) => `d${names.indexOf(name)} AS g${i}, `).join('')
  const own = owners === null
  const spans = own
    ? `SELECT *, toInt64(${start}) AS from, toInt64(${end}) AS until FROM holds`
    : `SELECT h.*, o.customer AS customer, o.from AS from, o.until AS until
       FROM holds AS h INNER JOIN (${ownerSpans(params, owners)}) AS o ON h.subject = o.subject`
  return `WITH events AS (${events}),
    holds AS (SELECT *, leadInFrame(ms, 1, toInt64(${end})) OVER (PARTITION BY ${partition} ORDER BY ts, ingested_at, kp, ko, ki
        ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS next_ms FROM events WHERE v IS NOT NULL),
    spans AS (SELECT *, greatest(ms, from, ${start}) AS held_from, least(next_ms, until, ${end}) AS held_until FROM (${spans})),
    pieces AS (SELECT *, arrayJoin(arrayFilter(x -> x.1 < held_until AND x.2 > held_from, arrayZip(${starts}, ${ends}))) AS piece
      FROM spans WHERE held_from < held_until)
    SELECT ${keys}, toUInt64(0) AS events, toUInt64(0) AS unusable,
      sum(v * toDecimal256(least(held_until, piece.2) - greatest(held_from, piece.1), 0)) AS a
    FROM (SELECT *, piece.1 AS w, ${groups} 1 AS one FROM pieces) AS weighed GROUP BY ${keys}
    UNION ALL
    SELECT ${keys}, count() AS events, countIf(v IS NULL) AS unusable, ${NO_VALUE} AS a
    FROM (SELECT *, roundDown(ms, ${starts}) AS w, ${groups} 1 AS one FROM (${
      own
        ? 'SELECT * FROM events'
        : `SELECT e.*, o.customer AS customer FROM events AS e INNER JOIN (${ownerSpans(params, owners)}) AS o
           ON e.subject = o.subject WHERE e.ms >= o.from AND e.ms < o.until`
    }) WHERE ms >= ${start}) AS met GROUP BY ${keys}`
}
