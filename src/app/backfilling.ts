import { tenantEvents } from '../aggregate/tenant-events.ts'
import type { CustomerRegistry } from '../customer/customer-registry.ts'
import { createBackfills } from '../database/backfills.ts'
import type { BackfillRoutesDeps, BackfillTotal } from '../http/backfills.ts'
import type { TenantId } from '../id/ids.ts'
import { appendBackfilled, type Backfill, stagingTenant } from '../ingest/backfill.ts'
import { createIngest } from '../ingest/ingest.ts'
import type { IngestMetrics } from '../ingest/ports.ts'
import { TOPIC_EVENTS } from '../usage/topics.ts'
import type { SubjectOwner } from '../usage/usage-query.ts'
import { newId } from './control.ts'
import type { HeldDirectory } from './directory.ts'
import type { Engines } from './engines.ts'
import type { UsageSide } from './event-path.ts'
import { repeat } from './repeat.ts'
import type { Shell } from './shell.ts'

/** Longest wait for what was accepted to be countable before totals are told. */
const TOTALS_WAIT_MS = 10_000
const COUNT_PAUSE_MS = 500
const CUSTOMERS_PAGE = 500

export interface BackfillingOptions {
  readonly shell: Pick<Shell, 'config' | 'clock' | 'closing' | 'onFault'>
  readonly engines: Engines
  readonly held: Pick<HeldDirectory, 'directory' | 'schemas'>
  readonly usage: Pick<UsageSide, 'reader' | 'journal' | 'conflicts'>
  readonly customers: Pick<CustomerRegistry, 'list' | 'attributions'>
  /** Whether this process makes closed backfills count. */
  readonly counts: boolean
}

/** Backfills: an ingest of their own, totals before anything counts, and the work after a close. */
export function startBackfilling(options: BackfillingOptions): Omit<BackfillRoutesDeps, 'authenticator'> {
  const { shell, engines, held, usage, customers } = options
  const { clock, closing, config, onFault } = shell
  const { log, store } = engines
  const backfills = createBackfills(engines.database.db)
  const tenants = new Map<TenantId, TenantId>()
  const ingest = createIngest({
    log,
    directory: held.directory,
    // Schemas are those of the tenant whose events they are going to be.
    schemas: { of: (staging, type) => held.schemas.of(tenants.get(staging) ?? staging, type) },
    clock,
    metrics: UNCOUNTED,
    config: config.ingest,
    onFault: (reason) => onFault('appending events of a backfill', reason),
  })
  closing.add('backfills', ingest.drain)

  if (options.counts) {
    const stop = repeat(
      COUNT_PAUSE_MS,
      async () => {
        while (await backfills.countOne(count, () => clock.now()));
      },
      (error) => onFault('counting a backfill', error),
    )
    closing.add('counting backfills', stop)
  }

  /** May be cut off and begun again at any point: what is appended twice counts once. */
  async function count(backfill: Backfill): Promise<number> {
    const cut = backfill.cut ?? []
    if (!(await usage.journal.waitForJournal(cut, TOTALS_WAIT_MS))) {
      throw new Error(`the journal has not reached the cut of the backfill ${backfill.id}; trying again`)
    }
    let events = 0
    for await (const page of tenantEvents(
      { store, conflicts: usage.conflicts },
      stagingTenant(backfill),
      cut,
    )) {
      await appendBackfilled(log, backfill.tenant, page, clock.now())
      events += page.length
    }
    return events
  }

  async function ownersOf(tenant: TenantId): Promise<readonly SubjectOwner[]> {
    const owners: SubjectOwner[] = []
    let after: string | null = null
    do {
      const page: Awaited<ReturnType<CustomerRegistry['list']>> = await customers.list(tenant, {
        limit: CUSTOMERS_PAGE,
        after,
      })
      for (const { key: customer } of page.data) {
        const spans = await customers.attributions(tenant, customer)
        owners.push(...spans.map(({ subject, from, until }) => ({ subject, customer, from, until })))
      }
      after = page.next
    } while (after !== null)
    return owners
  }

  async function totals(backfill: Backfill): Promise<readonly BackfillTotal[] | null> {
    const cut = backfill.cut ?? (await log.endOffsets(TOPIC_EVENTS))
    if (!(await usage.journal.waitForJournal(cut, TOTALS_WAIT_MS))) return null
    const owners = await ownersOf(backfill.tenant)
    const found: BackfillTotal[] = []
    const meters = held.directory.meters().filter(({ tenant }) => tenant === backfill.tenant)
    for (const meter of meters.sort((a, b) => (a.key < b.key ? -1 : 1))) {
      const question = {
        ...{ tenant: stagingTenant(backfill), meter, interval: backfill.range, window: 'none' as const },
        ...{ timezone: 'UTC', subjects: null, bySubject: false, groupBy: [], filters: {} },
      }
      const all = (await usage.reader.query(question)).rows
      if (all.length === 0) continue
      const parts = (await usage.reader.query({ ...question, owners, byCustomer: true })).rows
      for (const { customer = null, value, events, unusable } of [...all, ...parts]) {
        found.push({ meter: meter.key, customer, value, events, unusable })
      }
    }
    return found
  }

  return {
    ...{ backfills, totals, clock },
    shed: ingest.shed,
    take: (backfill, request) => {
      const tenant = stagingTenant(backfill)
      tenants.set(tenant, backfill.tenant)
      const { source, range } = backfill
      return ingest.accept({ ...request, tenant, backfill: { source, range } })
    },
    endOffsets: () => log.endOffsets(TOPIC_EVENTS),
    bodyBytesMax: config.ingest.requestBytesMax,
    newId: () => newId('job', clock),
  }
}

/** Events of a backfill are no traffic: the rates and rejections of ingest are of what counts at once. */
const UNCOUNTED: IngestMetrics = {
  requestJudged: () => undefined,
  eventRejected: () => undefined,
  requestRefused: () => undefined,
  appended: () => undefined,
  observeQueue: () => undefined,
  observeDuplicateWindow: () => undefined,
}
