import type { TenantId } from '../id/ids.ts'
import type { RatingError } from '../rating/rating-outcome.ts'
import type { Instant } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import { assembleLines } from './assemble.ts'
import type { BillableCustomer, BillableSubscription } from './billable.ts'
import { type Charge, chargesThrough, periodEndingAt } from './charge.ts'
import { draftDocument, type Seller } from './document.ts'
import type { InvoiceDocument } from './invoice.ts'
import { chargesToBill, type InvoicedCharge, invoicedCharges } from './invoiced-charge.ts'
import type { BillingDirectory, CustomerLedger, UsageSource } from './ports.ts'
import type { MeteredQuantity } from './rated-charge.ts'
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

/** Everything that the lines were computed from, so that they can be computed again at the same cut. */
export interface DraftBasis {
  readonly closesAt: Instant
  readonly charges: readonly Charge[]
  readonly questions: ReadonlyMap<string, UsageQuestion>
  readonly dropped: readonly string[]
}

export type DraftOutcome =
  | { readonly kind: 'draft'; readonly document: InvoiceDocument; readonly basis: DraftBasis }
  | { readonly kind: 'unknownMeter'; readonly charge: Charge }
  | { readonly kind: 'mixedCurrencies'; readonly subscription: BillableSubscription }
  | { readonly kind: 'unratable'; readonly charge: Charge; readonly error: RatingError }

/** Computes the invoice of a close: chooses the charges, asks for their usage at the cut, rates and adds up. */
export async function computeDraft(
  request: DraftRequest,
  directory: BillingDirectory,
  usage: UsageSource,
): Promise<DraftOutcome> {
  const { customer, subscriptions, ledger, closesAt } = request
  const stranger = subscriptions.find((subscription) =>
    subscription.phases.some((phase) => phase.plan.currency !== customer.currency),
  )
  if (stranger !== undefined) return { kind: 'mixedCurrencies', subscription: stranger }
  const invoiced = invoicedCharges(ledger.lines)
  const live = ledger.invoices.filter((invoice) => invoice.state !== 'void')
  const through = live.reduce((latest, { periodEnd }) => (periodEnd > latest ? periodEnd : latest), closesAt)
  const issued = live.at(-1)?.issuedAt ?? null
  const { charges, dropped } = chargesToBill(
    subscriptions.flatMap((subscription) => chargesThrough(subscription, through)),
    invoiced,
    {
      closesAt,
      closed: new Set(live.map((invoice) => invoice.periodEnd)),
      ratedForGoodBefore: (issued === null ? closesAt : issued - request.acceptBackMs) as Instant,
    },
  )
  const questions = await askFor(charges, invoiced, request, directory)
  if ('kind' in questions) return questions
  const lines = await rateDraft(
    { closesAt, charges, questions, dropped },
    invoiced,
    customer,
    request.cut,
    usage,
  )
  if (lines.kind === 'unratable') return lines
  const starts = subscriptions.flatMap((subscription) => periodEndingAt(subscription, closesAt)?.start ?? [])
  const document = draftDocument({
    seller: request.seller,
    customer,
    periodStart: starts.reduce((a, b) => (a < b ? a : b), closesAt),
    periodEnd: closesAt,
    attempt: ledger.invoices.filter((invoice) => invoice.periodEnd === closesAt).length,
    cut: request.cut,
    lines: lines.lines,
  })
  return { kind: 'draft', document, basis: { closesAt, charges, questions, dropped } }
}

/** Answers the questions at the cut and rates. Used for the draft and, later, for its proof. */
export async function rateDraft(
  basis: DraftBasis,
  invoiced: ReadonlyMap<string, InvoicedCharge>,
  customer: { readonly tenant: TenantId; readonly currency: BillableCustomer['currency'] },
  cut: Cut,
  usage: UsageSource,
): Promise<ReturnType<typeof assembleLines>> {
  const metered = new Map<string, MeteredQuantity>()
  for (const [key, question] of basis.questions) {
    metered.set(key, await answerAtCut(question, customer.tenant, cut, usage))
  }
  const { closesAt, charges, dropped } = basis
  return assembleLines({ currency: customer.currency, closesAt, charges, metered, invoiced, dropped })
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
