import { add, type Decimal, isNegative, isZero, subtract, ZERO } from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'
import { localDaysIn } from '../time/local-day.ts'

/** Something that lowered what is owed on an invoice: a payment or a credit note. */
interface Settlement {
  readonly at: Instant
  readonly amount: Decimal
}

/** A finalized invoice and what happened to it, however much later than the report's instant. */
export interface AgedInvoice {
  readonly total: Decimal
  readonly finalizedAt: Instant
  /** The start of the local day on which it is due. */
  readonly dueAt: Instant
  readonly settlements: readonly Settlement[]
  /** Null: it was not voided; a void invoice was never owed. */
  readonly voidedAt: Instant | null
  /** From then on it is a bad debt and no receivable. */
  readonly writtenOffAt: Instant | null
}

/** What is owed at an instant, by the days that it is past due. */
export interface Aging {
  readonly current: Decimal
  readonly days1To30: Decimal
  readonly days31To60: Decimal
  readonly days61To90: Decimal
  readonly daysOver90: Decimal
  /** Money that was received and not applied: 0 or less. */
  readonly unapplied: Decimal
  /** What is owed, less what is not applied. */
  readonly net: Decimal
  readonly badDebt: Decimal
}

/**
 * Receivables as they stood at an instant: only what had happened by then counts, so that a report can be repeated later
 * (billing-semantics 3.5). Each open invoice stands in exactly one column.
 */
export function agingAt(
  invoices: readonly AgedInvoice[],
  unapplied: Decimal,
  asOf: Instant,
  timezone: string,
): Aging {
  const columns: Record<AgingColumn, Decimal> = {
    current: ZERO,
    days1To30: ZERO,
    days31To60: ZERO,
    days61To90: ZERO,
    daysOver90: ZERO,
  }
  let badDebt = ZERO
  for (const invoice of invoices) {
    const open = openAt(invoice, asOf)
    if (isNegative(open) || isZero(open)) continue
    if (invoice.writtenOffAt !== null && invoice.writtenOffAt <= asOf) {
      badDebt = add(badDebt, open)
      continue
    }
    const column = columnOf(localDaysIn({ start: invoice.dueAt, end: asOf }, timezone))
    columns[column] = add(columns[column], open)
  }
  const owed = Object.values(columns).reduce(add, ZERO)
  const less = subtract(ZERO, unapplied)
  return { ...columns, unapplied: less, net: add(owed, less), badDebt }
}

/** What was owed on an invoice at an instant. */
export function openAt(invoice: AgedInvoice, asOf: Instant): Decimal {
  if (invoice.finalizedAt > asOf || (invoice.voidedAt !== null && invoice.voidedAt <= asOf)) return ZERO
  return invoice.settlements
    .filter(({ at }) => at <= asOf)
    .reduce((open, { amount }) => subtract(open, amount), invoice.total)
}

type AgingColumn = 'current' | 'days1To30' | 'days31To60' | 'days61To90' | 'daysOver90'

function columnOf(daysPastDue: number): AgingColumn {
  if (daysPastDue <= 0) return 'current'
  if (daysPastDue <= 30) return 'days1To30'
  if (daysPastDue <= 60) return 'days31To60'
  return daysPastDue <= 90 ? 'days61To90' : 'daysOver90'
}
