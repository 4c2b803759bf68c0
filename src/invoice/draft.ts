import type { InvoiceId, TenantId } from '../id/ids.ts'
import type { RatingError } from '../rating/rating-outcome.ts'
import { instantOf, type Instant } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import { invoiceIdOf } from './assemble.ts'
import type { BillableCustomer, BillableSubscription } from './billable.ts'
import { type Charge, chargesThrough, periodEndingAt } from './charge.ts'
import { compose, type DraftBasis } from './compose.ts'
import { type CreditedInvoice, creditedInvoice, type CreditNoteDraft } from './credit-note.ts'
import { invoiceHeading, type Seller } from './document.ts'
import type { InvoiceDocument } from './invoice.ts'
import { chargesToBill, type InvoicedCharge, invoicedCharges } from './invoiced-charge.ts'
import type { BillingDirectory, CustomerLedger, TaxEngine, UsageEvidence, UsageSource } from './ports.ts'
import type { MeteredQuantity } from './rated-charge.ts'
import { rootBehind } from './usage-commitment.ts'
import { answerAtCut, type UsageQuestion, usageQuestion } from './usage-question.ts'

export interface DraftRequest {
  readonly customer: BillableCustomer
  readonly subscriptions: readonly BillableSubscription[]
  readonly ledger: CustomerLedger
  readonly closesAt: Instant
  /** Usage from here on is left out; the close's own instant, or a preview's moment before it. */
  readonly usageUntil: Instant
  readonly cut: Cut
  readonly seller: Seller
  /** How far back an event may be dated when it is accepted: older services are rated for good. */
  readonly acceptBackMs: number
}

/** Where a draft asks for what it does not know itself. */
export interface DraftSources {
  readonly directory: BillingDirectory
  readonly usage: UsageSource
  readonly tax: TaxEngine
  /** Null: no commitment to the events is made. */
  readonly commitment: UsageCommitment | null
}

export interface UsageCommitment {
  readonly evidence: UsageEvidence
  /** Lines of more events get no root. */
  readonly leavesMax: number
}

export type DraftOutcome =
  | {
      readonly kind: 'draft'
      readonly document: InvoiceDocument
      readonly creditNotes: readonly CreditNoteDraft[]
      readonly basis: DraftBasis
    }
  | { readonly kind: 'unknownMeter'; readonly charge: Charge }
  | { readonly kind: 'mixedCurrencies'; readonly subscription: BillableSubscription }
  | { readonly kind: 'unratable'; readonly charge: Charge; readonly error: RatingError }
  | { readonly kind: 'taxPending'; readonly detail: string }

export type DraftRefusal = Exclude<DraftOutcome, { readonly kind: 'draft' }>

/** Computes the invoice of a close: chooses the charges, asks for their usage at the cut, rates, taxes and adds up. */
export async function computeDraft(request: DraftRequest, sources: DraftSources): Promise<DraftOutcome> {
  const planned = await planDraft(request, sources)
  if (planned.kind !== 'planned') return planned
  const { tenant } = request.customer
  const metered = await meter(planned.basis, tenant, request.cut, sources.usage, sources.commitment)
  return finishDraft(planned.basis, metered)
}

/** Rates what was metered. Pure. */
export function finishDraft(
  basis: DraftBasis,
  metered: ReadonlyMap<string, MeteredQuantity>,
): Extract<DraftOutcome, { readonly kind: 'draft' | 'unratable' }> {
  const composed = compose(basis, metered)
  if (composed.kind === 'unratable') return composed
  return { kind: 'draft', document: composed.document, creditNotes: composed.creditNotes, basis }
}

/** Everything of a draft but its usage: what is charged, what is to be asked, and which taxes apply. */
export async function planDraft(
  request: DraftRequest,
  sources: Pick<DraftSources, 'directory' | 'tax' | 'commitment'>,
): Promise<{ readonly kind: 'planned'; readonly basis: DraftBasis } | DraftRefusal> {
  const { customer, subscriptions, ledger, closesAt } = request
  const stranger = subscriptions.find((subscription) =>
    subscription.phases.some((phase) => phase.plan.currency !== customer.currency),
  )
  if (stranger !== undefined) return { kind: 'mixedCurrencies', subscription: stranger }
  const invoiced = invoicedCharges(ledger)
  const { charges, dropped } = chosenCharges(request, invoiced)
  const questions = await askFor(charges, invoiced, request, sources.directory)
  if ('kind' in questions) return questions
  const first = charges.filter((charge) => !invoiced.has(charge.key))
  const tax = await sources.tax.determine({
    customer,
    lines: first.map(({ plan, price, service }) => ({ plan, price: price.key, taxPoint: service.end })),
  })
  if (tax.kind === 'unavailable') return { kind: 'taxPending', detail: tax.detail }
  const starts = subscriptions.flatMap((subscription) => periodEndingAt(subscription, closesAt)?.start ?? [])
  const attempt = ledger.invoices.filter((invoice) => invoice.periodEnd === closesAt).length
  const keys = [...charges.map((charge) => charge.key), ...dropped]
  const before = new Map(keys.flatMap((key) => entry(key, invoiced.get(key))))
  const basis: DraftBasis = {
    closesAt,
    heading: invoiceHeading({
      id: invoiceIdOf(customer.tenant, customer.key, closesAt, attempt),
      seller: request.seller,
      customer,
      periodStart: starts.reduce((a, b) => (a < b ? a : b), closesAt),
      periodEnd: closesAt,
      cut: request.cut,
      tax,
    }),
    charges,
    questions,
    dropped,
    invoiced: before,
    taxRates: new Map(first.map((charge, i) => [charge.key, tax.rates[i] ?? []])),
    credited: creditable(charges, before, ledger),
    commits: sources.commitment !== null,
  }
  return { kind: 'planned', basis }
}

/** Asks the questions of a basis at a cut. Used for the draft and, later, for its proof. */
export async function meter(
  { questions, commits }: Pick<DraftBasis, 'questions' | 'commits'>,
  tenant: TenantId,
  cut: Cut,
  usage: Pick<UsageSource, 'usageAtCut'>,
  commitment: UsageCommitment | null,
): Promise<ReadonlyMap<string, MeteredQuantity>> {
  const metered = new Map<string, MeteredQuantity>()
  for (const [key, question] of questions) {
    const answer = await answerAtCut(question, tenant, cut, usage)
    const isCommitted = commits && commitment !== null && answer.events <= commitment.leavesMax
    const root = isCommitted ? await rootBehind(question, tenant, cut, commitment.evidence) : null
    metered.set(key, { ...answer, root })
  }
  return metered
}

function chosenCharges(
  { subscriptions, ledger, closesAt, acceptBackMs }: DraftRequest,
  invoiced: ReadonlyMap<string, InvoicedCharge>,
): { readonly charges: readonly Charge[]; readonly dropped: readonly string[] } {
  const live = ledger.invoices.filter((invoice) => invoice.state !== 'void')
  const through = live.reduce((latest, { periodEnd }) => (periodEnd > latest ? periodEnd : latest), closesAt)
  const issued = live.at(-1)?.issuedAt ?? null
  return chargesToBill(
    subscriptions.flatMap((subscription) => chargesThrough(subscription, through)),
    invoiced,
    {
      closesAt,
      closed: new Set(live.map((invoice) => invoice.periodEnd)),
      ratedForGoodBefore: issued === null ? closesAt : instantOf(issued - acceptBackMs),
      voided: ledger.voided,
    },
  )
}

async function askFor(
  charges: readonly Charge[],
  invoiced: ReadonlyMap<string, InvoicedCharge>,
  request: DraftRequest,
  directory: BillingDirectory,
): Promise<ReadonlyMap<string, UsageQuestion> | { readonly kind: 'unknownMeter'; readonly charge: Charge }> {
  const questions = new Map<string, UsageQuestion>()
  for (const charge of charges) {
    if (charge.price.meter === null) continue
    // A line goes on with the meter as it was when the charge was first rated.
    const revision = invoiced.get(charge.key)?.line.meterRevision ?? null
    const meter = await directory.meter(request.customer.tenant, charge.price.meter, revision)
    if (meter === null) return { kind: 'unknownMeter', charge }
    questions.set(charge.key, usageQuestion(charge, meter, request.customer.subjects, request.usageUntil))
  }
  return questions
}

/** The invoices that charges with the policy of credit notes were billed on. */
function creditable(
  charges: readonly Charge[],
  invoiced: ReadonlyMap<string, InvoicedCharge>,
  ledger: CustomerLedger,
): ReadonlyMap<InvoiceId, CreditedInvoice> {
  const found = new Map<InvoiceId, CreditedInvoice>()
  // An invoice that was written off takes no credit notes: what would be one is a line of this invoice.
  const writtenOff = new Set(
    ledger.invoices.filter(({ state }) => state === 'uncollectible').map(({ id }) => id),
  )
  for (const charge of charges) {
    if (charge.corrections !== 'creditNote') continue
    for (const { invoice } of invoiced.get(charge.key)?.creditable ?? []) {
      const credited = found.has(invoice) || writtenOff.has(invoice) ? null : creditedInvoice(ledger, invoice)
      if (credited !== null) found.set(invoice, credited)
    }
  }
  return found
}

function entry<K, V>(key: K, value: V | undefined): readonly (readonly [K, V])[] {
  return value === undefined ? [] : [[key, value]]
}
