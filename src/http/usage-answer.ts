import { stringify } from 'csv-stringify/sync'
import { nothing } from '../aggregate/aggregates.ts'
import { inert } from '../invoice/documents/csv.ts'
import { formatInstant } from '../time/instant.ts'
import type { Meter } from '../usage/meter.ts'
import type { UsageAnswer, UsageRow } from '../usage/usage-query.ts'
import type { UsageParameters } from './usage-request.ts'

/**
 * The rows of an answer. Where nothing is grouped by, every window has one: `0` for sums and counts of no events,
 * null where no events have no value. Grouped, a window has rows of the groups that have usage in it.
 */
export function rowsOf(answer: UsageAnswer, parameters: UsageParameters, meter: Meter): readonly UsageRow[] {
  const { groupBy, byCustomer, bySubject, windows } = parameters
  if (groupBy.length > 0 || byCustomer || bySubject) return answer.rows
  const byStart = new Map(answer.rows.map((row) => [row.interval.start, row]))
  return windows.map((interval) => byStart.get(interval.start) ?? { interval, group: {}, ...nothing(meter) })
}

export function usageJson(rows: readonly UsageRow[], { asOf, freshnessSeconds }: UsageAnswer) {
  return {
    data: rows.map(({ interval, customer, subject, group, value, events, unusable }) => ({
      start: formatInstant(interval.start),
      end: formatInstant(interval.end),
      ...(customer === undefined ? {} : { customer: customer }),
      ...(subject === undefined ? {} : { subject: subject }),
      ...{ group, value, events, unusable },
    })),
    asOf: {
      journal: Object.fromEntries(asOf.map(({ partition, offset }) => [String(partition), offset])),
      freshnessSeconds,
    },
  }
}

/** RFC 4180: a header, then a row a row. Text that somebody typed is made inert for spreadsheets. */
export function usageCsv(
  rows: readonly UsageRow[],
  { groupBy, byCustomer, bySubject }: UsageParameters,
): string {
  const header = [
    ...['start', 'end'],
    ...(byCustomer ? ['customer'] : []),
    ...(bySubject ? ['subject'] : []),
    ...groupBy,
    ...['value', 'events', 'unusable'],
  ]
  const lines = rows.map((row) => [
    ...[formatInstant(row.interval.start), formatInstant(row.interval.end)],
    ...(byCustomer ? [inert(row.customer ?? '')] : []),
    ...(bySubject ? [inert(row.subject ?? '')] : []),
    ...groupBy.map((name) => inert(row.group[name] ?? '')),
    ...[row.value, row.events, row.unusable],
  ])
  return stringify([header, ...lines], { record_delimiter: '\r\n' })
}
