import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import type { Clock } from '../time/clock.ts'
import type { Cut } from '../usage/coordinate.ts'
import { basisText } from './basis-text.ts'
import type { BillableCustomer, BillableSubscription } from './billable.ts'
import { closesThrough, nextClose } from './charge.ts'
import { draftInvoice, sealDocument, type Seller } from './document.ts'
import { computeDraft, type DraftOutcome } from './draft.ts'
import type { Invoice } from './invoice.ts'
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
  UsageSource,
} from './ports.ts'

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
  close(request: {
    readonly tenant: TenantId
    readonly customer: CustomerKey
    readonly periodEnd: Instant
  }): Promise<CloseOutcome>
  get(tenant: TenantId, id: InvoiceId): Promise<Invoice | null>
  list(tenant: TenantId, filter: InvoiceFilter): Promise<InvoicePage>
}

/** The shell around the pure computation: who is asked what, in which order, and what is stored at the end. */
export function createInvoicing(deps: InvoicingDeps): Invoicing {
  const { directory, usage, time, checks, store, metrics, clock, seller, limits } = deps

  /** Everything that is on the log now, countable. */
  async function cutNow(): Promise<{ readonly kind: 'cut'; readonly cut: Cut } | InvoiceRefusal> {
    const cut = await usage.endOffsets()
    const reached = await usage.waitForJournal(cut, limits.journalWaitMs)
    return reached ? { kind: 'cut', cut } : { kind: 'journalBehind', waitedMs: limits.journalWaitMs }
  }

  async function draftOf(
    account: Account,
    closesAt: Instant,
    usageUntil: Instant,
    cut: Cut,
  ): Promise<DraftOutcome> {
    const { acceptBackMs } = limits
    return computeDraft({ ...account, closesAt, usageUntil, cut, seller, acceptBackMs }, directory, usage)
  }

  async function accountOf(tenant: TenantId, key: CustomerKey): Promise<Account | null> {
    const customer = await directory.customer(tenant, key)
    if (customer === null) return null
    const ledger = await store.ledger(tenant, key)
    const subscriptions = await directory.subscriptions(tenant, key)
    return { customer, ledger, subscriptions }
  }

  async function existing(
    tenant: TenantId,
    ledger: CustomerLedger,
    periodEnd: Instant,
  ): Promise<Invoice | null> {
    const known = ledger.invoices.find(
      (invoice) => invoice.periodEnd === periodEnd && invoice.state !== 'void',
    )
    return known === undefined ? null : store.get(tenant, known.id)
  }

  async function preview({
    tenant,
    customer,
    at,
  }: Parameters<Invoicing['preview']>[0]): Promise<PreviewOutcome> {
    const account = await accountOf(tenant, customer)
    if (account === null) return { kind: 'unknownCustomer', customer }
    const closesAt = earliest(
      account.subscriptions.flatMap((subscription) => nextClose(subscription, at) ?? []),
    )
    if (closesAt === null) return { kind: 'nothingToInvoice', customer }
    const closed = await existing(tenant, account.ledger, closesAt)
    if (closed !== null) return { kind: 'invoice', invoice: closed }
    const reached = await cutNow()
    if (reached.kind !== 'cut') return reached
    const draft = await draftOf(account, closesAt, at < closesAt ? at : closesAt, reached.cut)
    return draft.kind === 'draft'
      ? { kind: 'invoice', invoice: draftInvoice(draft.document) }
      : refusalOf(draft)
  }

  async function close(request: Parameters<Invoicing['close']>[0]): Promise<CloseOutcome> {
    const startedAt = clock.now()
    const outcome = await closeOnce(request)
    const told = outcome.kind === 'finalized' || outcome.kind === 'existing' ? outcome.kind : 'refused'
    metrics.closed(told, (clock.now() - startedAt) / 1000)
    if (outcome.kind === 'finalized') metrics.finalized(outcome.invoice.currency, outcome.invoice.total)
    return outcome
  }

  async function closeOnce(request: Parameters<Invoicing['close']>[0]): Promise<CloseOutcome> {
    for (let attempt = 1; attempt <= limits.closeAttemptsMax; attempt++) {
      const outcome = await attemptClose(request)
      if (outcome.kind !== 'outdated') return outcome
    }
    return { kind: 'contended', attempts: limits.closeAttemptsMax }
  }

  async function attemptClose({
    tenant,
    customer,
    periodEnd,
  }: Parameters<Invoicing['close']>[0]): Promise<CloseOutcome | { readonly kind: 'outdated' }> {
    const account = await accountOf(tenant, customer)
    if (account === null) return { kind: 'unknownCustomer', customer }
    const closed = await existing(tenant, account.ledger, periodEnd)
    if (closed !== null) return { kind: 'existing', invoice: closed }
    const now = await time.nowOf(tenant, customer)
    if (now < periodEnd) return { kind: 'periodNotEnded', periodEnd, now }
    const closes = account.subscriptions.flatMap((subscription) => closesThrough(subscription, now))
    if (!closes.includes(periodEnd)) {
      return { kind: 'notAPeriodEnd', periodEnd, nearest: nearestTo(periodEnd, closes) }
    }
    // The ledger was read before the cut is taken: whatever it holds has a cut that is not beyond this one.
    const reached = await cutNow()
    if (reached.kind !== 'cut') return reached
    const failed = (await checks.run(tenant, reached.cut)).filter((check) => !check.ok)
    if (failed.length > 0) return { kind: 'conservationMismatch', failed }
    const draft = await draftOf(account, periodEnd, periodEnd, reached.cut)
    if (draft.kind !== 'draft') return refusalOf(draft)
    if (draft.document.lines.length === 0) return { kind: 'nothingToInvoice', customer }
    const termsDays = account.customer.paymentTermsDays ?? seller.paymentTermsDays
    return store.finalize({
      tenant,
      customer,
      periodEnd,
      basedOn: account.ledger.version,
      basis: basisText(draft.basis),
      seal: (number, previousHash) => sealDocument(draft.document, number, previousHash, now, termsDays),
    })
  }

  return {
    preview,
    close,
    get: (tenant, id) => store.get(tenant, id),
    list: (tenant, filter) => store.list(tenant, filter),
  }
}

interface Account {
  readonly customer: BillableCustomer
  readonly subscriptions: readonly BillableSubscription[]
  readonly ledger: CustomerLedger
}

function refusalOf(draft: Exclude<DraftOutcome, { readonly kind: 'draft' }>): InvoiceRefusal {
  switch (draft.kind) {
    case 'unknownMeter':
      return {
        kind: 'unknownMeter',
        price: draft.charge.price.key,
        meter: draft.charge.price.meter ?? '',
      }
    case 'mixedCurrencies': {
      const currency = draft.subscription.phases.at(-1)?.plan.currency ?? ''
      return { kind: 'mixedCurrencies', subscription: draft.subscription.id, currency }
    }
    case 'unratable':
      return { kind: 'unratable', price: draft.charge.price.key, error: draft.error }
  }
}

function earliest(instants: readonly Instant[]): Instant | null {
  return instants.reduce<Instant | null>((a, b) => (a === null || b < a ? b : a), null)
}

function nearestTo(instant: Instant, closes: readonly Instant[]): readonly Instant[] {
  const before = closes.filter((close) => close < instant)
  const after = closes.filter((close) => close > instant)
  const last = before.reduce<Instant | null>((a, b) => (a === null || b > a ? b : a), null)
  const next = earliest(after)
  return [...(last === null ? [] : [last]), ...(next === null ? [] : [next])]
}
