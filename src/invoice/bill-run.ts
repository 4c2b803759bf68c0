import type { TenantId } from '../id/ids.ts'
import { instantOf, type Instant } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import { answerTogether } from './batch-usage.ts'
import {
  type Account,
  type CloseTerms,
  draftRequest,
  earlierClose,
  finalizationOf,
  nextOpenClose,
  refusalOf,
} from './close.ts'
import type { DraftBasis } from './compose.ts'
import { finishDraft, meter, planDraft } from './draft.ts'
import { draftSources, type Invoicing, type InvoicingDeps, takeCut } from './invoicing.ts'
import type { InvoiceRefusal } from './outcomes.ts'
import { readAccounts } from './read-accounts.ts'
import type { Finalization } from './ports.ts'
import type {
  BillRunMetrics,
  BillSchedule,
  BillScope,
  DueBilling,
  StaleBilling,
  UsageBySubject,
} from './bill-run-ports.ts'

export interface BillRunLimits {
  /** How long after its end a period stays open for late events, by the customer's clock. */
  readonly graceMs: number
  /** Customers that are read, rated and written together. */
  readonly batchCustomersMax: number
  /** Batches of this process at the same time. */
  readonly workers: number
  /** How long a close that failed waits, by the system's clock. */
  readonly retryAfterMs: number
}

export const BILL_RUN_LIMITS: BillRunLimits = {
  graceMs: 3_600_000,
  batchCustomersMax: 1000,
  workers: 2,
  retryAfterMs: 60_000,
}

export interface BillRunDeps extends InvoicingDeps {
  readonly invoicing: Pick<Invoicing, 'close'>
  readonly schedule: BillSchedule
  readonly runMetrics: BillRunMetrics
  readonly runLimits: BillRunLimits
  /** Absent: every question is asked by itself. */
  readonly bySubject?: UsageBySubject
  /** Told of every fault of ours; the customer is held and the others go on. */
  readonly onFault: (what: string, error: unknown) => void
}

interface BillRunReport {
  readonly finalized: number
  readonly credited: number
  /** Closes that had nothing to bill. */
  readonly empty: number
  /** Closes that could not be done now, and stay due. */
  readonly held: number
}

export interface BillRun {
  /**
   * Closes every period that ended its grace by its customer's clock, each once, in order. Can be stopped and begun anew at
   * any point, by any number of processes. `systemNow` is the present of customers that live by the system's clock.
   */
  runDue(systemNow: Instant, scope?: BillScope): Promise<BillRunReport>
}

type Tally = { -readonly [Count in keyof BillRunReport]: BillRunReport[Count] } & {
  /** What this run has held: it does not try it again. */
  readonly heldCloses: Set<string>
  /** How often each close has come up in this run. */
  readonly tries: Map<string, number>
  /** Customers whose data this run could not read. */
  readonly unreadable: Set<string>
}

const staleOfRoundMax = 1000
const triesMax = 5

/** Finds what is due, drafts, and finalizes, in batches. What one customer's failure holds up is that customer alone. */
export function createBillRun(deps: BillRunDeps): BillRun {
  const { schedule, runLimits, runMetrics, onFault } = deps
  const terms: CloseTerms = { seller: deps.seller, acceptBackMs: deps.limits.acceptBackMs }
  const sources = draftSources(deps)

  async function runDue(systemNow: Instant, scope: BillScope | null): Promise<BillRunReport> {
    const tally: Tally = {
      finalized: 0,
      credited: 0,
      empty: 0,
      held: 0,
      heldCloses: new Set(),
      unreadable: new Set(),
      tries: new Map(),
    }
    for (;;) {
      await rescheduleStale(scope, tally)
      const { graceMs, batchCustomersMax, workers } = runLimits
      const limit = batchCustomersMax * workers + tally.heldCloses.size
      // The advance of a test clock tries at once what is held, for its time is not the system's.
      const found = await schedule.due({ systemNow, graceMs, scope, includeHeld: scope !== null, limit })
      const due = found.filter((entry) => !tally.heldCloses.has(closeKey(entry)))
      if (due.length === 0) return reportOf(tally)
      const batches = batchesOf(due, batchCustomersMax)
      const busy = (
        await Promise.all(
          batches.map((batch) => schedule.exclusively(batch, (own) => runBatch(own, systemNow, tally))),
        )
      ).flat()
      // Others work on these. A run of one clock answers when all is done; any other leaves them to whoever has them.
      if (busy.length === due.length && scope === null) return reportOf(tally)
      if (scope !== null) for (const entry of busy) await schedule.whenFree(entry)
    }
  }

  /** Computes when customers are billed next whose subscriptions or invoices have changed. */
  async function rescheduleStale(scope: BillScope | null, tally: Tally): Promise<void> {
    for (;;) {
      const found = await schedule.stale(scope, staleOfRoundMax + tally.unreadable.size)
      const stale = found.filter((entry) => !tally.unreadable.has(customerKey(entry)))
      if (stale.length === 0) return
      for (const [tenant, entries] of Map.groupBy(stale, (entry) => entry.tenant)) {
        const accounts = await readAccounts(
          deps,
          tenant,
          entries.map(({ customer }) => customer),
        )
        const next: (StaleBilling & { readonly nextClose: Instant | null })[] = []
        for (const entry of entries) {
          const account = accounts.get(entry.customer)
          if (account?.kind !== 'read') {
            onFault(`the billing of ${entry.customer}`, account?.error ?? new Error('no such customer'))
            tally.unreadable.add(customerKey(entry))
            count(tally, 'held')
          } else {
            const nextClose = nextOpenClose(account.account, entry.passed, terms.acceptBackMs)
            next.push({ ...entry, nextClose })
          }
        }
        await schedule.reschedule(next)
      }
    }
  }

  async function runBatch(own: readonly DueBilling[], systemNow: Instant, tally: Tally): Promise<void> {
    for (const entry of own) await noteTry(entry, systemNow, tally)
    const batch = own.filter((entry) => !tally.heldCloses.has(closeKey(entry)))
    if (batch.length === 0) return
    const startedAt = deps.clock.now()
    for (const [tenant, entries] of Map.groupBy(batch, (entry) => entry.tenant)) {
      try {
        await billTogether(tenant, entries, systemNow, tally)
      } catch (error) {
        // Whatever it was, the batch is done again customer by customer, so that only one that is at fault is held.
        onFault('a batch of invoices', error)
        for (const entry of entries) await billAlone(entry, systemNow, tally)
      }
    }
    runMetrics.batch(batch.length, (deps.clock.now() - startedAt) / 1000)
  }

  /** A close that comes up again and again would keep the run from its end. */
  async function noteTry(entry: DueBilling, systemNow: Instant, tally: Tally): Promise<void> {
    const key = closeKey(entry)
    const tried = (tally.tries.get(key) ?? 0) + 1
    tally.tries.set(key, tried)
    if (tried <= triesMax) return
    await holdFault(entry, new Error(`came up ${tried} times in one run and is still due`), systemNow, tally)
  }

  async function billTogether(
    tenant: TenantId,
    entries: readonly DueBilling[],
    systemNow: Instant,
    tally: Tally,
  ): Promise<void> {
    // Accounts, and with them the ledgers, are read before the cut is taken.
    const accounts = await readAccounts(
      deps,
      tenant,
      entries.map(({ customer }) => customer),
    )
    const reached = await takeCut(deps.usage, deps.limits.journalWaitMs)
    const checked = reached.kind === 'cut' ? await checkedCut(tenant, reached.cut) : reached
    if (checked.kind !== 'cut') {
      for (const entry of entries) await hold(entry, checked, systemNow, tally)
      return
    }
    const { cut } = checked
    const planned: { entry: DueBilling; account: Account; basis: DraftBasis }[] = []
    for (const entry of entries) {
      const read = accounts.get(entry.customer)
      if (read?.kind !== 'read') {
        await holdFault(entry, read?.error ?? new Error('the due customer is not there'), systemNow, tally)
        continue
      }
      const { account } = read
      if (earlierClose(account.ledger, entry.periodEnd) !== null) continue // its entry is stale: somebody closed it
      const plan = await planDraft(draftRequest(account, entry.periodEnd, cut, terms), sources)
      if (plan.kind === 'planned') planned.push({ entry, account, basis: plan.basis })
      else await hold(entry, refusalOf(plan), systemNow, tally)
    }
    const questions = planned.flatMap(({ basis }) => [...basis.questions.values()])
    const usage =
      deps.bySubject === undefined
        ? deps.usage
        : await answerTogether(questions, tenant, cut, deps.bySubject, deps.usage)
    const ready: { entry: DueBilling; finalization: Finalization }[] = []
    for (const { entry, account, basis } of planned) {
      const metered = await meter(basis, tenant, cut, usage, sources.commitment)
      const draft = finishDraft(basis, metered)
      const prepared =
        draft.kind === 'draft' ? finalizationOf(account, entry, draft, entry.now, terms) : refusalOf(draft)
      if (prepared.kind === 'ready') ready.push({ entry, finalization: prepared.finalization })
      else if (prepared.kind === 'nothingToInvoice') await pass(entry, tally)
      else await hold(entry, prepared, systemNow, tally)
    }
    const outcomes = await deps.store.finalizeMany(ready.map(({ finalization }) => finalization))
    for (const [i, outcome] of outcomes.entries()) {
      const entry = ready[i]?.entry
      if (entry === undefined) continue
      if (outcome.kind === 'outdated') await billAlone(entry, systemNow, tally)
      else if (outcome.kind === 'credited') count(tally, 'credited')
      else {
        count(tally, 'finalized')
        deps.metrics.finalized(outcome.invoice.currency, outcome.invoice.total)
        runMetrics.late(Math.max(0, (entry.now - entry.periodEnd - runLimits.graceMs) / 1000))
      }
    }
  }

  async function checkedCut(
    tenant: TenantId,
    cut: Cut,
  ): Promise<{ readonly kind: 'cut'; readonly cut: Cut } | InvoiceRefusal> {
    const failed = (await deps.checks.run(tenant, cut)).filter((check) => !check.ok)
    return failed.length === 0 ? { kind: 'cut', cut } : { kind: 'conservationMismatch', failed }
  }

  /** One customer by the way of a close by hand. */
  async function billAlone(entry: DueBilling, systemNow: Instant, tally: Tally): Promise<void> {
    try {
      const outcome = await deps.invoicing.close(entry)
      switch (outcome.kind) {
        case 'finalized':
          count(tally, 'finalized')
          return
        case 'credited':
          count(tally, 'credited')
          return
        case 'existing':
          runMetrics.closed('existing', 1)
          return
        case 'nothingToInvoice':
          await pass(entry, tally)
          return
        default:
          await hold(entry, outcome, systemNow, tally)
      }
    } catch (error) {
      await holdFault(entry, error, systemNow, tally)
    }
  }

  async function holdFault(
    entry: DueBilling,
    error: unknown,
    systemNow: Instant,
    tally: Tally,
  ): Promise<void> {
    onFault(`the invoice of ${entry.customer}`, error)
    const detail = error instanceof Error ? error.message : String(error)
    await holdFor(entry, { kind: 'fault', detail }, systemNow, tally)
  }

  async function pass(entry: DueBilling, tally: Tally): Promise<void> {
    await schedule.pass(entry)
    count(tally, 'empty')
  }

  const hold = (
    entry: DueBilling,
    refusal: InvoiceRefusal,
    systemNow: Instant,
    tally: Tally,
  ): Promise<void> => {
    const { kind, ...detail } = refusal
    return holdFor(entry, { kind, detail: JSON.stringify(detail) }, systemNow, tally)
  }

  async function holdFor(
    entry: DueBilling,
    reason: { readonly kind: string; readonly detail: string },
    systemNow: Instant,
    tally: Tally,
  ): Promise<void> {
    await schedule.hold(entry, reason, systemNow, instantOf(systemNow + runLimits.retryAfterMs))
    tally.heldCloses.add(closeKey(entry))
    count(tally, 'held')
  }

  function count(tally: Tally, what: keyof BillRunReport): void {
    tally[what]++
    runMetrics.closed(what, 1)
  }

  return { runDue: (systemNow, scope) => runDue(systemNow, scope ?? null) }
}

function customerKey({ tenant, customer }: StaleBilling): string {
  return JSON.stringify([tenant, customer])
}

function closeKey({ tenant, customer, periodEnd }: DueBilling): string {
  return JSON.stringify([tenant, customer, periodEnd])
}

function reportOf({ finalized, credited, empty, held }: Tally): BillRunReport {
  return { finalized, credited, empty, held }
}

function batchesOf<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const batches: T[][] = []
  for (let i = 0; i < items.length; i += size) batches.push(items.slice(i, i + size))
  return batches
}
