import type { SubjectId, TenantId } from '../id/ids.ts'
import { instantOf, type Interval } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import { VOID_TYPE } from '../usage/event.ts'
import { TOPIC_EPOCH } from '../usage/topics.ts'
import type { CanonicalEvent } from '../usage/usage-query.ts'
import type { UsageStore } from './ports.ts'
import { countsBefore, Params } from './usage-sql.ts'

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

/** Events of a tenant that count, with times in the interval: the newest first, so many at most. */
export async function readRecentEvents(
  store: UsageStore,
  request: {
    readonly tenant: TenantId
    readonly interval: Interval
    /** The journal's ends. */
    readonly cut: Cut
    readonly limit: number
  },
): Promise<readonly CanonicalEvent[]> {
  const { tenant, interval, cut, limit } = request
  const params = new Params()
  const rows = await store.query<EventRow>(
    `SELECT source, id, type, subject, toUnixTimestamp64Milli(ts) AS ts_ms,
            toUnixTimestamp64Milli(ingested_at) AS ingested_ms, props, kp, ko, ki
     FROM usage_events FINAL
     WHERE tenant = ${params.bind('String', tenant)} AND type != '${VOID_TYPE}'
       AND ts >= fromUnixTimestamp64Milli(${params.bind('Int64', Number(interval.start))}, 'UTC')
       AND ts < fromUnixTimestamp64Milli(${params.bind('Int64', Number(interval.end))}, 'UTC')
       AND ${countsBefore(params, tenant, cut)}
     ORDER BY ts DESC, kp DESC, ko DESC, ki DESC LIMIT ${params.bind('UInt32', limit)}`,
    params.values,
  )
  return rows.map((row) => ({
    ...{ source: row.source, id: row.id, type: row.type, subject: row.subject as SubjectId },
    time: instantOf(Number(row.ts_ms)),
    ingestedAt: instantOf(Number(row.ingested_ms)),
    properties: row.props,
    coordinate: { epoch: TOPIC_EPOCH, partition: row.kp, offset: Number(row.ko), index: row.ki },
    value: null,
  }))
}
