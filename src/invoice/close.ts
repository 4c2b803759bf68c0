import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import { decimal } from '../money/decimal.ts'
import { formatInstant, type Instant } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import { basisText } from './basis-text.ts'
import type { BillableCustomer, BillableSubscription } from './billable.ts'
import { closesThrough, firstClose } from './charge.ts'
import { sealCreditNote } from './credit-note.ts'
import { dueAt, sealDocument, type Seller } from './document.ts'
import { computeDraft, type DraftOutcome, type DraftRequest, type DraftSources } from './draft.ts'
import type { InvoiceRefusal } from './outcomes.ts'
import type { CustomerLedger, Finalization, SealedInvoice } from './ports.ts'

/** A customer with everything that a close of its periods depends on, as it is now. */
export interface Account {
  readonly customer: BillableCustomer
  readonly subscriptions: readonly BillableSubscription[]
  readonly ledger: CustomerLedger
}

export interface CloseTerms {
  readonly seller: Seller
  /** How far back an event may be dated when it is accepted. */
  readonly acceptBackMs: number
}

export interface CloseRequest {
  readonly tenant: TenantId
  readonly customer: CustomerKey
  readonly periodEnd: Instant
}

/** What an earlier close of the same instant left: an invoice, or credit notes alone. */
export type EarlierClose =
  | { readonly kind: 'invoice'; readonly id: InvoiceId }
  | { readonly kind: 'creditNotes'; readonly ids: readonly CustomerLedger['creditNotes'][number]['id'][] }

export function earlierClose(ledger: CustomerLedger, periodEnd: Instant): EarlierClose | null {
  const invoice = ledger.invoices.find((one) => one.periodEnd === periodEnd && one.state !== 'void')
  if (invoice !== undefined) return { kind: 'invoice', id: invoice.id }
  const ids = ledger.creditNotes.filter((note) => note.closesAt === periodEnd).map(({ id }) => id)
  const wasVoided = ledger.invoices.some((one) => one.periodEnd === periodEnd)
  return ids.length === 0 || wasVoided ? null : { kind: 'creditNotes', ids }
}

/** Whether the customer's clock and subscriptions allow the close; null is yes. */
export function refusedClose(
  { subscriptions }: Account,
  periodEnd: Instant,
  now: Instant,
  { acceptBackMs }: CloseTerms,
): InvoiceRefusal | null {
  if (now < periodEnd) return { kind: 'periodNotEnded', periodEnd, now }
  const closes = subscriptions.flatMap((subscription) => closesThrough(subscription, now, acceptBackMs))
  if (closes.includes(periodEnd)) return null
  return { kind: 'notAPeriodEnd', periodEnd, nearest: nearestTo(periodEnd, closes) }
}

export type Preparation = { readonly kind: 'ready'; readonly finalization: Finalization } | InvoiceRefusal

/** Computes what a close will store. The account was read before the cut was taken. */
export async function prepareClose(
  account: Account,
  request: CloseRequest,
  cut: Cut,
  now: Instant,
  terms: CloseTerms,
  sources: DraftSources,
): Promise<Preparation> {
  const draft = await computeDraft(draftRequest(account, request.periodEnd, cut, terms), sources)
  return draft.kind === 'draft' ? finalizationOf(account, request, draft, now, terms) : refusalOf(draft)
}

export function draftRequest(account: Account, closesAt: Instant, cut: Cut, terms: CloseTerms): DraftRequest {
  return { ...account, ...terms, closesAt, usageUntil: closesAt, cut }
}

/** What a draft is stored as. Pure. */
export function finalizationOf(
  account: Account,
  { tenant, customer, periodEnd }: CloseRequest,
  { document, basis, creditNotes }: Extract<DraftOutcome, { readonly kind: 'draft' }>,
  issuedAt: Instant,
  terms: CloseTerms,
): Preparation {
  if (document.lines.length === 0 && creditNotes.length === 0) return { kind: 'nothingToInvoice', customer }
  const termsDays = account.customer.paymentTermsDays ?? terms.seller.paymentTermsDays
  const seal = (number: string, previousHash: string | null): SealedInvoice =>
    sealDocument(document, {
      number,
      previousHash,
      issuedAt: formatInstant(issuedAt),
      dueAt: dueAt(issuedAt, termsDays, document.timezone),
    })
  const invoice = { total: decimal(document.total), basis: basisText(basis), seal }
  return {
    kind: 'ready',
    finalization: {
      tenant,
      customer,
      periodEnd,
      issuedAt,
      basedOn: account.ledger.version,
      invoice: document.lines.length === 0 ? null : invoice,
      creditNotes: creditNotes.map((note) => ({
        invoice: note.document.correctsInvoice,
        closesAt: periodEnd,
        total: note.total,
        seal: (number, previousHash) => sealCreditNote(note.document, number, previousHash, issuedAt),
      })),
    },
  }
}

/** The first close of the customer that is not done; null when none is left. `passed`: closes that had nothing to bill. */
export function nextOpenClose(
  { subscriptions, ledger }: Pick<Account, 'subscriptions' | 'ledger'>,
  passed: readonly Instant[],
  acceptBackMs: number,
): Instant | null {
  const done = new Set<Instant>()
  for (const { periodEnd, state, rebill } of ledger.invoices) {
    // What was voided is closed anew by the run only where the void says so.
    if (state === 'void' && rebill) done.delete(periodEnd)
    else done.add(periodEnd)
  }
  for (const { closesAt } of ledger.creditNotes) if (closesAt !== null) done.add(closesAt)
  // A close that was done anew after a void and had nothing to bill is done, too.
  for (const close of passed) done.add(close)
  return earliest(
    subscriptions.flatMap(
      (subscription) => firstClose(subscription, acceptBackMs, (close) => !done.has(close)) ?? [],
    ),
  )
}

export function refusalOf(draft: Exclude<DraftOutcome, { readonly kind: 'draft' }>): InvoiceRefusal {
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
    case 'taxPending':
      return { kind: 'taxPending', detail: draft.detail }
  }
}

export function earliest(instants: readonly Instant[]): Instant | null {
  return instants.reduce<Instant | null>((a, b) => (a === null || b < a ? b : a), null)
}

function nearestTo(instant: Instant, closes: readonly Instant[]): readonly Instant[] {
  const before = closes.filter((close) => close < instant)
  const after = closes.filter((close) => close > instant)
  const last = before.reduce<Instant | null>((a, b) => (a === null || b > a ? b : a), null)
  const next = earliest(after)
  return [...(last === null ? [] : [last]), ...(next === null ? [] : [next])]
}
