import type { InvoiceId } from '../id/ids.ts'
import { makeId } from '../id/ids.ts'
import { type Currency, minorUnitDigits } from '../money/currency.ts'
import {
  type Decimal,
  ZERO,
  add,
  isZero,
  multiply,
  round,
  subtract,
  toFixedText,
  toText,
} from '../money/decimal.ts'
import { type Instant, formatInstant } from '../time/instant.ts'
import type { TaxRate } from './billable.ts'
import { sha256Hex } from './canonical-json.ts'
import type { Charge } from './charge.ts'
import type { InvoiceLine, TaxLine } from './invoice.ts'
import type { InvoicedCharge } from './invoiced-charge.ts'
import { type MeteredQuantity, type RatedCharge, rateCharge } from './rated-charge.ts'
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
}

export type AssemblyOutcome =
  | { readonly kind: 'lines'; readonly lines: readonly InvoiceLine[] }
  | { readonly kind: 'unratable'; readonly charge: Charge; readonly error: RatingError }

/**
 * The lines of an invoice: for every charge what is owed less what was invoiced. Pure, so that a preview, the close and
 * a later proof at the stored cut give the same lines to the byte.
 */
export function assembleLines(assembly: Assembly): AssemblyOutcome {
  const lines: InvoiceLine[] = []
  for (const charge of assembly.charges) {
    const metered = charge.price.meter === null ? null : meteredOf(charge, assembly)
    const rating = rateCharge(charge, metered, assembly.currency)
    if (rating.kind === 'refused') return { kind: 'unratable', charge, error: rating.error }
    const before = assembly.invoiced.get(charge.key)
    const line =
      before === undefined ? firstLine(rating.rated, assembly) : correction(rating.rated, before, assembly)
    if (line !== null) lines.push(line)
  }
  for (const key of assembly.dropped) {
    const before = assembly.invoiced.get(key)
    const line = before === undefined ? null : withdrawal(before, assembly)
    if (line !== null) lines.push(line)
  }
  return { kind: 'lines', lines }
}

export interface Totals {
  readonly subtotal: string
  readonly taxes: readonly TaxLine[]
  readonly tax: string
  readonly total: string
}

/** Adds the rounded lines; taxes their sum once for each rate, rounded once for each rate (EN 16931, BR-CO-17). */
export function totalsOf(
  lines: readonly { readonly amount: Decimal }[],
  rates: readonly TaxRate[],
  currency: Currency,
): Totals {
  const digits = minorUnitDigits(currency)
  const subtotal = round(
    lines.reduce((sum, line) => add(sum, line.amount), ZERO),
    digits,
  )
  const taxes = rates.map(({ name, rate }) => ({
    name,
    rate,
    amount: round(multiply(subtotal, rate), digits),
  }))
  const tax = round(
    taxes.reduce((sum, { amount }) => add(sum, amount), ZERO),
    digits,
  )
  return {
    subtotal: toFixedText(subtotal),
    taxes: taxes.map(({ name, rate, amount }) => ({
      name,
      rate: toText(rate),
      base: toFixedText(subtotal),
      amount: toFixedText(amount),
    })),
    tax: toFixedText(tax),
    total: toFixedText(add(subtotal, tax)),
  }
}

/** The id that the invoice of a close has, however often it is computed. Ids of later closes sort later. */
export function invoiceIdOf(tenant: string, customer: string, closesAt: Instant, attempt: number): InvoiceId {
  const seed = sha256Hex([tenant, customer, formatInstant(closesAt), attempt].join('\0'))
  return makeId('inv', closesAt, Buffer.from(seed, 'hex')) as InvoiceId
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
    ...describe(rated, assembly, before.lines),
    kind: moved ? 'lateUsage' : 'adjustment',
    quantity: toText(metered ? quantity : rated.quantity),
    amount: toFixedText(amount),
    exactAmount: toText(subtract(rated.exactAmount, before.exactAmount)),
    explanation: `owed now: ${rated.explanation}; less ${invoicedText} leaves ${toFixedText(amount)} ${assembly.currency}`,
    corrects: before.numbers,
  }
}

/** Takes back what is owed no longer. */
function withdrawal(before: InvoicedCharge, assembly: Assembly): InvoiceLine | null {
  if (isZero(before.amount) && isZero(before.quantity)) return null
  const amount = toFixedText(round(subtract(ZERO, before.amount), minorUnitDigits(assembly.currency)))
  return {
    ...before.line,
    id: lineId(before.line.key, before.lines, assembly.closesAt),
    kind: 'adjustment',
    quantity: before.line.meter === null ? '1' : toText(subtract(ZERO, before.quantity)),
    amount,
    exactAmount: toText(subtract(ZERO, before.exactAmount)),
    explanation: `owed no longer since the subscription changed: takes back ${toFixedText(before.amount)} ${assembly.currency} of ${before.numbers.join(', ')}`,
    steps: [],
    corrects: before.numbers,
  }
}

function describe(
  { charge, meterRevision, steps }: RatedCharge,
  assembly: Assembly,
  revision: number,
): Omit<InvoiceLine, 'kind' | 'quantity' | 'amount' | 'exactAmount' | 'explanation' | 'corrects'> {
  return {
    id: lineId(charge.key, revision, assembly.closesAt),
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
  }
}

function lineId(key: string, revision: number, closesAt: Instant): string {
  return makeId('lin', closesAt, Buffer.from(sha256Hex(`${key}\0${revision}`), 'hex'))
}
