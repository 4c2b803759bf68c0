import type { InvoiceId } from '../id/ids.ts'
import { makeId } from '../id/ids.ts'
import { type Currency, minorUnitDigits } from '../money/currency.ts'
import { type Decimal, ZERO, isZero, round, subtract, toFixedText, toText } from '../money/decimal.ts'
import { type Instant, formatInstant } from '../time/instant.ts'
import type { CorrectionPolicy } from '../catalog/plan.ts'
import { sha256Hex } from './canonical-json.ts'
import type { Charge } from './charge.ts'
import type { InvoiceLine, LineTaxRate } from './invoice.ts'
import type { InvoicedCharge } from './invoiced-charge.ts'
import { rateBounds } from './plan-bounds.ts'
import { type ChargeRating, type MeteredQuantity, type RatedCharge, rateCharge } from './rated-charge.ts'
import type { RatingError } from '../rating/rating-outcome.ts'

export interface Assembly {
  readonly currency: Currency
  /** The close that is invoiced. */
  readonly closesAt: Instant
  /** What this invoice is about, as `chargesToBill` chose; ordered as the lines shall be. */
  readonly charges: readonly Charge[]
  /** Quantities of the metered charges at the cut, by charge key. */
  readonly metered: ReadonlyMap<string, MeteredQuantity>
  /** What stands on earlier invoices of the customer, by charge key. */
  readonly invoiced: ReadonlyMap<string, InvoicedCharge>
  /** Keys of charges that were invoiced and are owed no longer. */
  readonly dropped: readonly string[]
  /** Rates of charges that have no line yet, by charge key. Corrections keep the rates of what they correct. */
  readonly taxRates: ReadonlyMap<string, readonly LineTaxRate[]>
  /** What makes the ids of lines differ from those of a void invoice of the same close. */
  readonly invoice: InvoiceId
}

export interface AssembledLine {
  readonly line: InvoiceLine
  /** What was invoiced of the charge before; null for its first line. */
  readonly before: InvoicedCharge | null
  /** What becomes of the line where it takes something back. */
  readonly policy: CorrectionPolicy
}

export type AssemblyOutcome =
  | { readonly kind: 'lines'; readonly lines: readonly AssembledLine[] }
  | { readonly kind: 'unratable'; readonly charge: Charge; readonly error: RatingError }

/**
 * The lines of an invoice: for every charge what is owed less what was invoiced. Pure, so that a preview, the close and
 * a later proof at the stored cut give the same lines to the byte.
 */
export function assembleLines(assembly: Assembly): AssemblyOutcome {
  const lines: AssembledLine[] = []
  /** What is owed for the charges so far, by key; those that a plan's bounds are about stand before them. */
  const owed = new Map<string, Decimal>()
  for (const charge of assembly.charges) {
    const rating = rateOne(charge, owed, assembly)
    if (rating.kind === 'refused') return { kind: 'unratable', charge, error: rating.error }
    owed.set(charge.key, rating.rated.amount)
    const before = assembly.invoiced.get(charge.key) ?? null
    const line =
      before === null ? firstLine(rating.rated, assembly) : correction(rating.rated, before, assembly)
    if (line !== null) lines.push({ line, before, policy: charge.corrections })
  }
  for (const key of assembly.dropped) {
    const before = assembly.invoiced.get(key)
    if (before === undefined) continue
    const line = withdrawal(before, assembly)
    // A change of the subscription goes with the charges that it brings: it stays on the invoice.
    if (line !== null) lines.push({ line, before, policy: 'nextInvoice' })
  }
  return { kind: 'lines', lines }
}

/** The id that the invoice of a close has, however often it is computed. Ids of later closes sort later. */
export function invoiceIdOf(tenant: string, customer: string, closesAt: Instant, attempt: number): InvoiceId {
  const seed = sha256Hex([tenant, customer, formatInstant(closesAt), attempt].join('\0'))
  return makeId('inv', closesAt, Buffer.from(seed, 'hex')) as InvoiceId
}

function rateOne(charge: Charge, owed: ReadonlyMap<string, Decimal>, assembly: Assembly): ChargeRating {
  const { bounds } = charge
  if (bounds === undefined) {
    const metered = charge.price.meter === null ? null : meteredOf(charge, assembly)
    return rateCharge(charge, metered, assembly.currency)
  }
  const amounts = bounds.charges.map((key) => {
    const amount = owed.get(key)
    if (amount === undefined)
      throw new Error(`${key} counts towards ${charge.key} and was not rated before it`)
    return amount
  })
  return { kind: 'rated', rated: rateBounds(charge, bounds, amounts, assembly.currency) }
}

function meteredOf(charge: Charge, assembly: Assembly): MeteredQuantity {
  const metered = assembly.metered.get(charge.key)
  if (metered === undefined) throw new Error(`the usage of ${charge.key} was not asked for`)
  return metered
}

function firstLine(rated: RatedCharge, assembly: Assembly): InvoiceLine {
  return {
    ...describe(rated, assembly, 0),
    kind: rated.charge.price.meter === null ? 'recurring' : 'usage',
    quantity: toText(rated.quantity),
    amount: toFixedText(rated.amount),
    exactAmount: toText(rated.exactAmount),
    explanation: rated.explanation,
    taxRates: assembly.taxRates.get(rated.charge.key) ?? [],
    corrects: [],
  }
}

/** The difference of what is owed now and what was invoiced; null where nothing changed. */
function correction(rated: RatedCharge, before: InvoicedCharge, assembly: Assembly): InvoiceLine | null {
  const metered = rated.charge.price.meter !== null
  const amount = subtract(rated.amount, before.amount)
  const quantity = subtract(rated.quantity, before.quantity)
  if (isZero(amount) && (isZero(quantity) || !metered)) return null
  const invoicedText = `${toFixedText(before.amount)} ${assembly.currency} of it on ${before.numbers.join(', ')}`
  const moved = metered && rated.charge.service.end === before.end
  return {
    ...describe(rated, assembly, before.revision),
    kind: moved ? 'lateUsage' : 'adjustment',
    quantity: toText(metered ? quantity : rated.quantity),
    amount: toFixedText(amount),
    exactAmount: toText(subtract(rated.exactAmount, before.exactAmount)),
    explanation: `owed now: ${rated.explanation}; less ${invoicedText} leaves ${toFixedText(amount)} ${assembly.currency}`,
    taxRates: before.line.taxRates,
    corrects: before.numbers,
  }
}

/** Takes back what is owed no longer. */
function withdrawal(before: InvoicedCharge, assembly: Assembly): InvoiceLine | null {
  if (isZero(before.amount) && isZero(before.quantity)) return null
  const amount = toFixedText(round(subtract(ZERO, before.amount), minorUnitDigits(assembly.currency)))
  return {
    ...before.line,
    id: lineId(before.line.key, before.revision, assembly),
    kind: 'adjustment',
    revision: before.revision,
    quantity: before.line.meter === null ? '1' : toText(subtract(ZERO, before.quantity)),
    amount,
    exactAmount: toText(subtract(ZERO, before.exactAmount)),
    explanation: `owed no longer since the subscription changed: takes back ${toFixedText(before.amount)} ${assembly.currency} of ${before.numbers.join(', ')}`,
    steps: [],
    usage: null,
    corrects: before.numbers,
  }
}

function describe(
  { charge, meterRevision, steps }: RatedCharge,
  assembly: Assembly,
  revision: number,
): Omit<
  InvoiceLine,
  'kind' | 'quantity' | 'amount' | 'exactAmount' | 'explanation' | 'taxRates' | 'corrects'
> {
  const metered = assembly.metered.get(charge.key)
  return {
    id: lineId(charge.key, revision, assembly),
    key: charge.key,
    revision,
    subscription: charge.subscription,
    plan: charge.plan,
    planVersion: charge.planVersion,
    price: charge.price.key,
    name: charge.price.name,
    meter: charge.price.meter,
    meterRevision,
    start: formatInstant(charge.service.start),
    end: formatInstant(charge.service.end),
    steps,
    usage: metered === undefined ? null : { events: metered.events, root: metered.root },
    correctsLine: null,
  }
}

function lineId(key: string, revision: number, { invoice, closesAt }: Assembly): string {
  return makeId('lin', closesAt, Buffer.from(sha256Hex([invoice, key, revision].join('\0')), 'hex'))
}
