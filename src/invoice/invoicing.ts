import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import type { Clock } from '../time/clock.ts'
import type { Instant } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import { nextClose } from './charge.ts'
import {
  type Account,
  type CloseRequest,
  type CloseTerms,
  earlierClose,
  earliest,
  prepareClose,
  refusalOf,
  refusedClose,
} from './close.ts'
import { draftInvoice, type Seller } from './document.ts'
import { computeDraft, type DraftSources, type UsageCommitment } from './draft.ts'
import type { CreditNote, Invoice } from './invoice.ts'
import type { CloseOutcome, InvoiceRefusal, PreviewOutcome } from './outcomes.ts'
import type {
  BillingDirectory,
  ConservationChecks,
  CustomerLedger,
  CustomerTime,
  InvoiceFilter,
  InvoiceMetrics,
  InvoicePage,
  InvoiceStore,
  TaxEngine,
  UsageSource,
} from './ports.ts'
import { createTaxTables, NO_TABLES } from './tax-table.ts'

export interface InvoicingDeps {
  readonly directory: BillingDirectory
  readonly usage: UsageSource
  readonly time: CustomerTime
  readonly checks: ConservationChecks
  readonly store: InvoiceStore
  readonly metrics: InvoiceMetrics
  /** The system's clock, for durations. */
  readonly clock: Clock
  readonly seller: Seller
  readonly limits: InvoicingLimits
  /** Absent: the customers' own rates. */
  readonly tax?: TaxEngine
  /** Absent: invoices commit to no events. */
  readonly commitment?: UsageCommitment
}

export interface InvoicingLimits {
  /** How far back an event may be dated when it is accepted. */
  readonly acceptBackMs: number
  /** Longest wait until everything before the cut is countable. */
  readonly journalWaitMs: number
  /** How often a close is computed again because the customer's invoices changed under it. */
  readonly closeAttemptsMax: number
}

export const INVOICING_LIMITS: InvoicingLimits = {
  acceptBackMs: 35 * 86_400_000,
  journalWaitMs: 30_000,
  closeAttemptsMax: 5,
}

export interface Invoicing {
  /** The invoice of the next close at or after `at`, with usage up to `at` and all that is on the log now. Stores nothing. */
  preview(request: {
    readonly tenant: TenantId
    readonly customer: CustomerKey
    readonly at: Instant
  }): Promise<PreviewOutcome>
  /** Finalizes the invoice of a period that has ended, once: a second close returns the first's invoice. */
  close(request: CloseRequest): Promise<CloseOutcome>
  get(tenant: TenantId, id: InvoiceId): Promise<Invoice | null>
  list(tenant: TenantId, filter: InvoiceFilter): Promise<InvoicePage>
}

/** The shell around the pure computation: who is asked what, in which order, and what is stored at the end. */
export function createInvoicing(deps: InvoicingDeps): Invoicing {
  const { usage, time, checks, store, metrics, clock, limits } = deps
  const terms: CloseTerms = { seller: deps.seller, acceptBackMs: limits.acceptBackMs }
  const sources = draftSources(deps)

  async function existing(
    tenant: TenantId,
    ledger: CustomerLedger,
    periodEnd: Instant,
  ): Promise<Extract<CloseOutcome, { kind: 'existing' | 'credited' }> | null> {
    const earlier = earlierClose(ledger, periodEnd)
    if (earlier === null) return null
    if (earlier.kind === 'invoice') {
      const invoice = await store.get(tenant, earlier.id)
      if (invoice === null) throw new Error(`the invoice ${earlier.id} of the ledger is not there`)
      return { kind: 'existing', invoice }
    }
    const notes: CreditNote[] = []
    for (const id of earlier.ids) {
      const note = await store.creditNote(tenant, id)
      if (note !== null) notes.push(note)
    }
    const [first, ...rest] = notes
    if (first === undefined) throw new Error(`the credit notes ${earlier.ids.join(', ')} are not there`)
    return { kind: 'credited', creditNotes: [first, ...rest] }
  }

  async function preview({
    tenant,
    customer,
    at,
  }: Parameters<Invoicing['preview']>[0]): Promise<PreviewOutcome> {
    const account = await readAccount(deps, tenant, customer)
    if (account === null) return { kind: 'unknownCustomer', customer }
    const closesAt = earliest(
      account.subscriptions.flatMap((subscription) => nextClose(subscription, at, limits.acceptBackMs) ?? []),
    )
    if (closesAt === null) return { kind: 'nothingToInvoice', customer }
    const closed = await existing(tenant, account.ledger, closesAt)
    if (closed?.kind === 'existing') return { kind: 'invoice', invoice: closed.invoice }
    const reached = await takeCut(usage, limits.journalWaitMs)
    if (reached.kind !== 'cut') return reached
    const usageUntil = at < closesAt ? at : closesAt
    const draft = await computeDraft(
      { ...account, ...terms, closesAt, usageUntil, cut: reached.cut },
      sources,
    )
    if (draft.kind !== 'draft') return refusalOf(draft)
    if (draft.document.lines.length === 0) return { kind: 'nothingToInvoice', customer }
    return { kind: 'invoice', invoice: draftInvoice(draft.document) }
  }

  async function close(request: CloseRequest): Promise<CloseOutcome> {
    const startedAt = clock.now()
    const outcome = await closeOnce(request)
    metrics.closed(toldOf(outcome), (clock.now() - startedAt) / 1000)
    if (outcome.kind === 'finalized') metrics.finalized(outcome.invoice.currency, outcome.invoice.total)
    return outcome
  }

  async function closeOnce(request: CloseRequest): Promise<CloseOutcome> {
    for (let attempt = 1; attempt <= limits.closeAttemptsMax; attempt++) {
      const outcome = await attemptClose(request)
      if (outcome.kind !== 'outdated') return outcome
    }
    return { kind: 'contended', attempts: limits.closeAttemptsMax }
  }

  async function attemptClose(request: CloseRequest): Promise<CloseOutcome | { readonly kind: 'outdated' }> {
    const { tenant, customer, periodEnd } = request
    const account = await readAccount(deps, tenant, customer)
    if (account === null) return { kind: 'unknownCustomer', customer }
    const closed = await existing(tenant, account.ledger, periodEnd)
    if (closed !== null) return closed
    const now = await time.nowOf(tenant, customer)
    const refused = refusedClose(account, periodEnd, now, terms)
    if (refused !== null) return refused
    // The ledger was read before the cut is taken: whatever it holds has a cut that is not beyond this one.
    const reached = await takeCut(usage, limits.journalWaitMs)
    if (reached.kind !== 'cut') return reached
    const failed = (await checks.run(tenant, reached.cut)).filter((check) => !check.ok)
    if (failed.length > 0) return { kind: 'conservationMismatch', failed }
    const prepared = await prepareClose(account, request, reached.cut, now, terms, sources)
    return prepared.kind === 'ready' ? store.finalize(prepared.finalization) : prepared
  }

  return {
    preview,
    close,
    get: (tenant, id) => store.get(tenant, id),
    list: (tenant, filter) => store.list(tenant, filter),
  }
}

export function draftSources({
  directory,
  usage,
  tax,
  commitment,
}: Pick<InvoicingDeps, 'directory' | 'usage' | 'tax' | 'commitment'>): DraftSources {
  return { directory, usage, tax: tax ?? createTaxTables(NO_TABLES), commitment: commitment ?? null }
}

/** Null when there is no such customer. */
export async function readAccount(
  { directory, store }: Pick<InvoicingDeps, 'directory' | 'store'>,
  tenant: TenantId,
  key: CustomerKey,
): Promise<Account | null> {
  const customer = await directory.customer(tenant, key)
  if (customer === null) return null
  const ledger = await store.ledger(tenant, key)
  const subscriptions = await directory.subscriptions(tenant, key)
  return { customer, ledger, subscriptions }
}

/** Everything that is on the log now, countable. */
export async function takeCut(
  usage: UsageSource,
  journalWaitMs: number,
): Promise<{ readonly kind: 'cut'; readonly cut: Cut } | InvoiceRefusal> {
  const cut = await usage.endOffsets()
  const reached = await usage.waitForJournal(cut, journalWaitMs)
  return reached ? { kind: 'cut', cut } : { kind: 'journalBehind', waitedMs: journalWaitMs }
}

function toldOf({ kind }: CloseOutcome): 'finalized' | 'existing' | 'refused' {
  if (kind === 'finalized' || kind === 'existing') return kind
  return kind === 'credited' ? 'finalized' : 'refused'
}
