import {
  type Decimal,
  ZERO,
  add,
  compare,
  decimal,
  isNegative,
  maximum,
  minimum,
  negate,
  subtract,
} from '../money/decimal.ts'
import type { InvoiceId } from '../id/ids.ts'
import { type Instant, parseInstant } from '../time/instant.ts'
import type { Charge } from './charge.ts'
import type { InvoiceLine } from './invoice.ts'
import { withBoundTogether } from './plan-bounds.ts'
import type { CustomerLedger } from './ports.ts'

/** A line of an earlier invoice and what of it can still be given back. */
export interface CreditableLine {
  readonly invoice: InvoiceId
  readonly line: InvoiceLine
  readonly left: Decimal
}

/** All that was invoiced of one charge, over however many invoices. Void invoices do not count. */
export interface InvoicedCharge {
  readonly amount: Decimal
  readonly exactAmount: Decimal
  readonly quantity: Decimal
  /** The revision of the next line. */
  readonly revision: number
  /** Numbers of the invoices, in their order. */
  readonly numbers: readonly string[]
  /** The end of the service as it was invoiced last. */
  readonly end: Instant
  /** The line that was written last; it describes the charge where the subscription no longer does. */
  readonly line: InvoiceLine
  /** Oldest first. */
  readonly creditable: readonly CreditableLine[]
}

/**
 * Sums what was invoiced by charge: lines of invoices, less what credit notes of late usage took back. What was given back
 * by decision stays out, for it says nothing about usage; it only lessens what can be credited.
 */
export function invoicedCharges({
  lines,
  creditNotes,
}: Pick<CustomerLedger, 'lines' | 'creditNotes'>): ReadonlyMap<string, InvoicedCharge> {
  const charges = new Map<string, InvoicedCharge>()
  for (const { invoice, number, line } of lines) {
    const before = charges.get(line.key)
    const amount = decimal(line.amount)
    charges.set(line.key, {
      amount: add(before?.amount ?? ZERO, amount),
      exactAmount: add(before?.exactAmount ?? ZERO, decimal(line.exactAmount)),
      quantity: add(before?.quantity ?? ZERO, meteredQuantity(line)),
      revision: Math.max(before?.revision ?? 0, line.revision + 1),
      numbers: [...new Set([...(before?.numbers ?? []), number])],
      end: endOf(line),
      line,
      creditable: isNegative(amount)
        ? takenFromLatest(before?.creditable ?? [], negate(amount))
        : [...(before?.creditable ?? []), { invoice, line, left: amount }],
    })
  }
  for (const line of creditNotes.flatMap((note) => note.lines)) {
    const before = charges.get(line.key)
    if (before === undefined) continue // the invoice was void when its charge was taken back elsewhere
    const amount = decimal(line.amount)
    const creditable = before.creditable.map((one) =>
      one.line.id === line.correctsLine ? { ...one, left: maximum(subtract(one.left, amount), ZERO) } : one,
    )
    if (line.kind === 'credit') charges.set(line.key, { ...before, creditable })
    else {
      charges.set(line.key, {
        ...before,
        amount: subtract(before.amount, amount),
        exactAmount: subtract(before.exactAmount, decimal(line.exactAmount)),
        quantity: subtract(before.quantity, meteredQuantity(line)),
        revision: Math.max(before.revision, line.revision + 1),
        creditable,
      })
    }
  }
  return charges
}

/** Shares an amount out to the lines that billed it, the latest first; null when they cannot give it all back. */
export function giveBack(
  amount: Decimal,
  creditable: readonly CreditableLine[],
): readonly { readonly from: CreditableLine; readonly amount: Decimal }[] | null {
  const pieces: { from: CreditableLine; amount: Decimal }[] = []
  let open = amount
  for (const from of creditable.toReversed()) {
    const taken = minimum(from.left, open)
    if (compare(taken, ZERO) <= 0) continue
    pieces.push({ from, amount: taken })
    open = subtract(open, taken)
  }
  return compare(open, ZERO) > 0 ? null : pieces
}

/** A fee is a quantity of one, however often it was adjusted; usage adds up. */
function meteredQuantity(line: InvoiceLine): Decimal {
  return line.meter === null ? ZERO : decimal(line.quantity)
}

function takenFromLatest(creditable: readonly CreditableLine[], amount: Decimal): readonly CreditableLine[] {
  let open = amount
  return creditable
    .toReversed()
    .map((one) => {
      const taken = minimum(one.left, open)
      open = subtract(open, taken)
      return { ...one, left: subtract(one.left, taken) }
    })
    .toReversed()
}

function endOf(line: InvoiceLine): Instant {
  const end = parseInstant(line.end)
  if (end === null) throw new RangeError(`line ${line.id} ends at no instant: ${line.end}`)
  return end
}

export interface BillingScope {
  readonly closesAt: Instant
  /** Ends of periods that the customer has an invoice for. */
  readonly closed: ReadonlySet<Instant>
  /** Usage of services that end before this was rated for good: no event can still come. */
  readonly ratedForGoodBefore: Instant
  /** Charges that a void has changed. */
  readonly voided: ReadonlySet<string>
}

/**
 * Which charges an invoice is about: those that this close is the first to bill, fees in advance and changes of closed
 * periods that no invoice has yet, and everything invoiced that may have changed since.
 */
export function chargesToBill(
  charges: readonly Charge[],
  invoiced: ReadonlyMap<string, InvoicedCharge>,
  { closesAt, closed, ratedForGoodBefore, voided }: BillingScope,
): { readonly charges: readonly Charge[]; readonly dropped: readonly string[] } {
  const chosen = charges.filter((charge) => {
    const before = invoiced.get(charge.key)
    if (before === undefined) {
      const missedInAdvance = charge.dueAt === charge.service.start && charge.dueAt < closesAt
      return charge.dueAt === closesAt || closed.has(charge.dueAt) || missedInAdvance
    }
    const isFee = charge.price.meter === null && charge.bounds === undefined
    if (isFee || voided.has(charge.key)) return true
    return charge.service.end >= ratedForGoodBefore || charge.service.end !== before.end
  })
  const owed = new Set(charges.map((charge) => charge.key))
  const dropped = [...invoiced.keys()].filter((key) => !owed.has(key))
  return { charges: withBoundTogether(charges, chosen), dropped }
}
