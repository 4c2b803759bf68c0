import type { SubjectId, TenantId } from '../id/ids.ts'
import { instantOf } from '../time/instant.ts'
import { covers, type Cut } from '../usage/coordinate.ts'
import type {
  EventsAtCutRequest,
  EventsPage,
  UsageAnswer,
  UsageAtCutRequest,
  UsageAtCutRow,
  UsageRequest,
  UsageRow,
} from '../usage/usage-query.ts'
import type { ConflictSweeper } from './conflicts.ts'
import type { JournalView, UsageStore } from './ports.ts'
import { type AggregateRow, nothing, quantityOf } from './quantity.ts'
import { readEventsAtCut, readUsageAtCut } from './usage-at-cut.ts'
import {
  aggregateColumns,
  countsBefore,
  dimensionPath,
  Params,
  selectionCondition,
  valueOf,
  valueText,
} from './usage-sql.ts'
import { windowsOf } from './windows.ts'

export interface UsageReader {
  /** Exact as of the journal. @throws RangeError for an unknown zone, an unknown dimension, too many windows */
  query(request: UsageRequest): Promise<UsageAnswer>
  /** What an invoice counts; the same answer for ever. @throws UsageReadError when the journal is before the cut */
  usageAtCut(request: UsageAtCutRequest): Promise<readonly UsageAtCutRow[]>
  /** The events behind it, in pages. @throws UsageReadError */
  eventsAtCut(request: EventsAtCutRequest): Promise<EventsPage>
}

/** The question cannot be answered yet or at all. */
export class UsageReadError extends Error {
  readonly code: 'journalBehind' | 'badCursor'
  constructor(code: 'journalBehind' | 'badCursor', detail: string) {
    super(detail)
    this.name = 'UsageReadError'
    this.code = code
  }
}

export interface UsageReaderDeps {
  readonly store: UsageStore
  readonly journal: JournalView
  readonly conflicts: ConflictSweeper
}

export function createUsageReader({ store, journal, conflicts }: UsageReaderDeps): UsageReader {
  /** I7: what is before the cut is durable, and every conflict before it is known. */
  const reach = async (tenant: TenantId, cut: Cut): Promise<void> => {
    if (!covers(journal.ends(), cut)) {
      throw new UsageReadError('journalBehind', 'The journal has not reached the cut: wait for it first.')
    }
    await conflicts.sweep(tenant, cut)
  }
  return {
    query: (request) => queryUsage(store, journal, request),
    usageAtCut: async (request) => {
      await reach(request.tenant, request.cut)
      return readUsageAtCut(store, request)
    },
    eventsAtCut: async (request) => {
      await reach(request.tenant, request.cut)
      return readEventsAtCut(store, request)
    },
  }
}

type UsageQueryRow = AggregateRow & { readonly w: string; readonly subject: string } & Readonly<
    Record<`g${number}`, string>
  >

async function queryUsage(
  store: UsageStore,
  journal: JournalView,
  request: UsageRequest,
): Promise<UsageAnswer> {
  const { tenant, meter, interval, groupBy } = request
  // The journal is taken first: whatever is answered then lies before it or is left out.
  const asOf = journal.ends()
  const freshnessSeconds = journal.freshnessSeconds()
  const windows = windowsOf(interval, request.window, request.timezone)
  if (windows.length === 0) return { rows: [], asOf, freshnessSeconds }

  const params = new Params()
  const starts = params.bind(
    'Array(Int64)',
    windows.map(({ start }) => start),
  )
  const paths = groupBy.map((name) => params.bind('String', dimensionPath(meter, name)))
  const keys = [...(request.bySubject ? ['subject'] : []), ...paths.map((_, i) => `g${i}`)]
  const rows = await store.query<UsageQueryRow>(
    `SELECT toString(w) AS w, ${keys.map((key) => `${key}, `).join('')}${aggregateColumns(meter)}
     FROM (
       SELECT roundDown(toUnixTimestamp64Milli(ts), ${starts}) AS w, subject, ts, ingested_at, kp, ko, ki,
              ${paths.map((path, i) => `props[${path}] AS g${i}, `).join('')}
              ${valueText(params, meter)} AS text, ${valueOf('text')} AS v
       FROM usage_events FINAL
       WHERE ${selectionCondition(params, request)}
         AND ${countsBefore(params, tenant, asOf)}
     ) AS counted
     GROUP BY ${['w', ...keys].join(', ')}
     ORDER BY ${['toInt64(w)', ...keys].join(', ')}`,
    params.values,
  )
  const ends = new Map(windows.map((window) => [window.start as number, window]))
  return {
    rows: rows.map((row): UsageRow => {
      const window = ends.get(Number(row.w))
      return {
        interval: window ?? { start: instantOf(Number(row.w)), end: interval.end },
        ...(request.bySubject ? { subject: row.subject as SubjectId } : {}),
        group: Object.fromEntries(groupBy.map((name, i) => [name, row[`g${i}`] ?? ''])),
        ...(row.events === '0' ? nothing(meter) : quantityOf(meter, row)),
      }
    }),
    asOf,
    freshnessSeconds,
  }
}
