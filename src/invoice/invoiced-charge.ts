import { type Decimal, ZERO, add, decimal } from '../money/decimal.ts'
import { type Instant, parseInstant } from '../time/instant.ts'
import type { Charge } from './charge.ts'
import type { InvoiceLine } from './invoice.ts'

/** All that was invoiced of one charge, over however many invoices. Void invoices do not count. */
export interface InvoicedCharge {
  readonly amount: Decimal
  readonly exactAmount: Decimal
  readonly quantity: Decimal
  /** How many lines it has had: the revision of the next. */
  readonly lines: number
  /** Numbers of the invoices, in their order. */
  readonly numbers: readonly string[]
  /** The end of the service as it was invoiced last. */
  readonly end: Instant
  /** The line that was written last; it describes the charge where the subscription no longer does. */
  readonly line: InvoiceLine
}

/** Sums lines by charge. @param lines in the order in which their invoices were finalized */
export function invoicedCharges(
  lines: readonly { readonly number: string; readonly line: InvoiceLine }[],
): ReadonlyMap<string, InvoicedCharge> {
  const charges = new Map<string, InvoicedCharge>()
  for (const { number, line } of lines) {
    const before = charges.get(line.key)
    const end = parseInstant(line.end)
    if (end === null) throw new RangeError(`line ${line.id} ends at no instant: ${line.end}`)
    // A fee is a quantity of one, however often it was adjusted; usage adds up.
    const quantity = line.meter === null ? ZERO : decimal(line.quantity)
    charges.set(line.key, {
      amount: add(before?.amount ?? ZERO, decimal(line.amount)),
      exactAmount: add(before?.exactAmount ?? ZERO, decimal(line.exactAmount)),
      quantity: add(before?.quantity ?? ZERO, quantity),
      lines: (before?.lines ?? 0) + 1,
      numbers: [...new Set([...(before?.numbers ?? []), number])],
      end,
      line,
    })
  }
  return charges
}

export interface BillingScope {
  readonly closesAt: Instant
  /** Ends of periods that the customer has an invoice for. */
  readonly closed: ReadonlySet<Instant>
  /** Usage of services that end before this was rated for good: no event can still come. */
  readonly ratedForGoodBefore: Instant
}

/**
 * Which charges an invoice is about: those that this close is the first to bill, fees in advance and changes of closed
 * periods that no invoice has yet, and everything invoiced that may have changed since.
 */
export function chargesToBill(
  charges: readonly Charge[],
  invoiced: ReadonlyMap<string, InvoicedCharge>,
  { closesAt, closed, ratedForGoodBefore }: BillingScope,
): { readonly charges: readonly Charge[]; readonly dropped: readonly string[] } {
  const chosen = charges.filter((charge) => {
    const before = invoiced.get(charge.key)
    if (before === undefined) {
      const missedInAdvance = charge.dueAt === charge.service.start && charge.dueAt < closesAt
      return charge.dueAt === closesAt || closed.has(charge.dueAt) || missedInAdvance
    }
    if (charge.price.meter === null) return true
    return charge.service.end >= ratedForGoodBefore || charge.service.end !== before.end
  })
  const owed = new Set(charges.map((charge) => charge.key))
  const dropped = [...invoiced.keys()].filter((key) => !owed.has(key))
  return { charges: chosen, dropped }
}
