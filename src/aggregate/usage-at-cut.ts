import type { SubjectId } from '../id/ids.ts'
import { instantOf } from '../time/instant.ts'
import { TOPIC_EPOCH } from '../usage/topics.ts'
import type {
  CanonicalEvent,
  EventsAtCutRequest,
  EventsPage,
  UsageAtCutRequest,
  UsageAtCutRow,
} from '../usage/usage-query.ts'
import type { UsageStore } from './ports.ts'
import { nothing } from './aggregates.ts'
import { countsBefore, type EventSelection, Params, selectionCondition } from './usage-sql.ts'
import { askUsage } from './usage-statement.ts'

/** The events of a selection that count before a cut. Every conflict before it has to be known. */
function countedEvents(params: Params, request: UsageAtCutRequest, selection: EventSelection): string {
  return `SELECT source, id, type, ts, subject, props, kp, ko, ki, ingested_at
     FROM usage_events FINAL
     WHERE ${selectionCondition(params, selection)}
       AND ${countsBefore(params, request.tenant, request.cut)}`
}

export async function readUsageAtCut(
  store: UsageStore,
  request: UsageAtCutRequest,
): Promise<readonly UsageAtCutRow[]> {
  const { tenant, meter, subjects, interval, groupBy, cut } = request
  const question = { tenant, meter, interval, windows: [interval], subjects, owners: null, groupBy, cut }
  const rows = await askUsage(store, { ...question, byCustomer: false, bySubject: false, filters: {} }, null)
  if (rows.length === 0 && groupBy.length === 0) return [{ group: {}, ...nothing(meter) }]
  return rows.map(({ group, value, events, unusable }) => ({ group, value, events, unusable }))
}

interface EventRow {
  readonly source: string
  readonly id: string
  readonly type: string
  readonly subject: string
  readonly ts_ms: string
  readonly ingested_ms: string
  readonly props: Readonly<Record<string, string>>
  readonly kp: number
  readonly ko: string
  readonly ki: number
}

export async function readEventsAtCut(store: UsageStore, request: EventsAtCutRequest): Promise<EventsPage> {
  const { meter, group, limit, after } = request
  const params = new Params()
  const filters = Object.fromEntries(Object.entries(group).map(([name, value]) => [name, [value]]))
  const beyond =
    after === null
      ? '1'
      : `(toUnixTimestamp64Milli(ts), kp, ko, ki) > (${parseCursor(after)
          .map((part) => params.bind('Int64', part))
          .join(', ')})`
  const rows = await store.query<EventRow>(
    `SELECT source, id, type, subject, toUnixTimestamp64Milli(ts) AS ts_ms,
            toUnixTimestamp64Milli(ingested_at) AS ingested_ms, props, kp, ko, ki
     FROM (${countedEvents(params, request, { ...request, filters })}) AS selected
     WHERE ${beyond}
     ORDER BY ts, kp, ko, ki LIMIT ${params.bind('UInt32', limit + 1)}`,
    params.values,
  )
  const events = rows.slice(0, limit).map((row) => canonicalEventOf(row, meter.valueProperty))
  const last = events.at(-1)
  return { events, next: rows.length > limit && last !== undefined ? cursorOf(last) : null }
}

function canonicalEventOf(row: EventRow, valueProperty: string | undefined): CanonicalEvent {
  return {
    source: row.source,
    id: row.id,
    type: row.type,
    subject: row.subject as SubjectId,
    time: instantOf(Number(row.ts_ms)),
    ingestedAt: instantOf(Number(row.ingested_ms)),
    properties: row.props,
    coordinate: { epoch: TOPIC_EPOCH, partition: row.kp, offset: Number(row.ko), index: row.ki },
    value: valueProperty === undefined ? null : (row.props[valueProperty] ?? null),
  }
}

function cursorOf({ time, coordinate }: CanonicalEvent): string {
  return [time, coordinate.partition, coordinate.offset, coordinate.index].join('.')
}

/** @throws RangeError when it is none of ours */
function parseCursor(cursor: string): readonly number[] {
  if (!/^\d{1,15}(\.\d{1,15}){3}$/.test(cursor)) throw new RangeError('not a cursor of this list')
  return cursor.split('.').map(Number)
}
