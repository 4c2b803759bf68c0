import type { CustomerKey, SubjectId, TenantId } from '../id/ids.ts'
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
import { readEventsAtCut, readUsageAtCut } from './usage-at-cut.ts'
import { planReading } from './rolled.ts'
import { askUsage } from './usage-statement.ts'
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

async function queryUsage(
  store: UsageStore,
  journal: JournalView,
  request: UsageRequest,
): Promise<UsageAnswer> {
  const { tenant, meter, interval, groupBy, subjects, bySubject, filters } = request
  // The journal is taken first: whatever is answered then lies before it or is left out.
  const asOf = journal.ends()
  const freshnessSeconds = journal.freshnessSeconds()
  const windows = windowsOf(interval, request.window, request.timezone)
  if (windows.length === 0) return { rows: [], asOf, freshnessSeconds }
  const { byCustomer = false, owners = null } = request
  if (byCustomer && owners === null) throw new RangeError('usage by customer needs to know whose it is')
  const question = {
    ...{ tenant, meter, interval, windows, subjects, owners, byCustomer, bySubject, groupBy, filters },
    cut: asOf,
  }
  const rows = await askUsage(store, question, await planReading(store, question))
  const byStart = new Map(windows.map((window) => [window.start as number, window]))
  return {
    rows: rows.map(({ window, customer, subject, group, value, events, unusable }): UsageRow => ({
      interval: byStart.get(window) ?? { start: instantOf(window), end: interval.end },
      ...(byCustomer ? { customer: customer as CustomerKey } : {}),
      ...(bySubject ? { subject: subject as SubjectId } : {}),
      ...{ group, value, events, unusable },
    })),
    asOf,
    freshnessSeconds,
  }
}
