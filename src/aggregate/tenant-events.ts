import type { SubjectId, TenantId } from '../id/ids.ts'
import { instantOf } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import { TOPIC_EPOCH } from '../usage/topics.ts'
import type { CanonicalEvent } from '../usage/usage-query.ts'
import type { ConflictSweeper } from './conflicts.ts'
import type { UsageStore } from './ports.ts'
import { countsBefore, Params } from './usage-sql.ts'

const PAGE_EVENTS = 20_000

interface EventRow {
  readonly source: string
  readonly id: string
  readonly type: string
  readonly subject: string
  readonly minute: number
  readonly ts_ms: string
  readonly ingested_ms: string
  readonly props: Readonly<Record<string, string>>
  readonly kp: number
  readonly ko: string
  readonly ki: number
}

/**
 * Every event of a tenant that counts before a cut, in the order of the table, in pages: a page reads its own range of
 * the primary key. The journal must have reached the cut.
 */
export async function* tenantEvents(
  { store, conflicts }: { readonly store: UsageStore; readonly conflicts: ConflictSweeper },
  tenant: TenantId,
  cut: Cut,
): AsyncGenerator<readonly CanonicalEvent[]> {
  await conflicts.sweep(tenant, cut)
  let last: EventRow | undefined
  do {
    const params = new Params()
    const beyond =
      last === undefined
        ? '1'
        : `(type, toStartOfMinute(ts), subject, toString(source), id) > (${[
            params.bind('String', last.type),
            `toDateTime(${params.bind('UInt32', last.minute)}, 'UTC')`,
            params.bind('String', last.subject),
            params.bind('String', last.source),
            params.bind('String', last.id),
          ].join(', ')})`
    const rows = await store.query<EventRow>(
      `SELECT source, id, type, subject, toUnixTimestamp(toStartOfMinute(ts)) AS minute,
              toUnixTimestamp64Milli(ts) AS ts_ms, toUnixTimestamp64Milli(ingested_at) AS ingested_ms, props, kp, ko, ki
       FROM usage_events FINAL
       WHERE tenant = ${params.bind('String', tenant)} AND ${beyond} AND ${countsBefore(params, tenant, cut)}
       ORDER BY type, toStartOfMinute(ts), subject, toString(source), id LIMIT ${params.bind('UInt32', PAGE_EVENTS)}`,
      params.values,
      'background',
    )
    if (rows.length > 0) yield rows.map(eventOf)
    last = rows.length === PAGE_EVENTS ? rows.at(-1) : undefined
  } while (last !== undefined)
}

function eventOf(row: EventRow): CanonicalEvent {
  return {
    ...{ source: row.source, id: row.id, type: row.type, subject: row.subject as SubjectId },
    time: instantOf(Number(row.ts_ms)),
    ingestedAt: instantOf(Number(row.ingested_ms)),
    properties: row.props,
    coordinate: { epoch: TOPIC_EPOCH, partition: row.kp, offset: Number(row.ko), index: row.ki },
    value: null,
  }
}
