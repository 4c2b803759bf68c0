import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import { decimal, negate, toFixedText, toText } from '../money/decimal.ts'
import type { Instant, Interval } from '../time/instant.ts'
import { type CloseTerms, nextOpenClose, refusalOf } from './close.ts'
import { computeDraft } from './draft.ts'
import type { CreditNote, InvoiceLine } from './invoice.ts'
import { draftSources, type InvoicingDeps, readAccount, takeCut } from './invoicing.ts'
import type { InvoiceRefusal } from './outcomes.ts'
import type { InvoicePosition } from './ports.ts'
import type { CreditNoteStore } from './receivable-ports.ts'

/** What finance pulls: one row a line of an invoice or credit note, and one a charge that is not billed yet. */
export interface RatedUsageRow {
  /** `credited` rows have negative amounts, so that the column adds up. */
  readonly status: 'invoiced' | 'credited' | 'unbilled'
  readonly document: string | null
  readonly documentId: string | null
  readonly issuedAt: string | null
  readonly customer: CustomerKey
  readonly currency: string
  readonly line: string
  readonly kind: string
  readonly subscription: string
  readonly plan: string
  readonly planVersion: number
  readonly price: string
  readonly name: string
  readonly meter: string | null
  readonly quantity: string
  readonly amount: string
  readonly exactAmount: string
  readonly start: string
  readonly end: string
}

interface RatedUsagePosition {
  readonly endsAt: Instant
  readonly invoice: InvoiceId
  readonly position: number
}

/** Lines of invoices that are not void, whose service overlaps an interval, in pages. */
export interface RatedUsageStore {
  lines(
    tenant: TenantId,
    interval: Interval,
    limit: number,
    after: RatedUsagePosition | null,
  ): Promise<{ readonly rows: readonly RatedUsageRow[]; readonly next: RatedUsagePosition | null }>
  /** Customers that are or were billed, by key. */
  customers(tenant: TenantId, limit: number, after: CustomerKey | null): Promise<readonly CustomerKey[]>
}

/** The accruals of a customer could not be computed: an export without them would be wrong, so it ends. */
export class RatedUsageError extends Error {
  readonly customer: CustomerKey
  readonly refusal: InvoiceRefusal
  constructor(customer: CustomerKey, refusal: InvoiceRefusal) {
    super(`the unbilled usage of ${customer} cannot be rated: ${JSON.stringify(refusal)}`)
    this.name = 'RatedUsageError'
    this.customer = customer
    this.refusal = refusal
  }
}

const pageRowsMax = 1000

/**
 * Rows whose service overlaps the interval: invoiced, then credited, then unbilled up to the interval's end or the
 * customer's present. One page is in memory at a time. @throws RatedUsageError
 */
export function createRatedUsage(
  deps: InvoicingDeps & {
    readonly lines: RatedUsageStore
    readonly creditNotes: Pick<CreditNoteStore, 'list'>
  },
): (tenant: TenantId, interval: Interval) => AsyncGenerator<RatedUsageRow> {
  const terms: CloseTerms = { seller: deps.seller, acceptBackMs: deps.limits.acceptBackMs }
  const sources = { ...draftSources(deps), commitment: null }

  async function* invoiced(tenant: TenantId, interval: Interval): AsyncGenerator<RatedUsageRow> {
    let after: RatedUsagePosition | null = null
    do {
      const page = await deps.lines.lines(tenant, interval, pageRowsMax, after)
      yield* page.rows
      after = page.next
    } while (after !== null)
  }

  async function* credited(tenant: TenantId, interval: Interval): AsyncGenerator<RatedUsageRow> {
    let after: InvoicePosition | null = null
    do {
      const page = await deps.creditNotes.list(tenant, { customer: null, invoice: null, limit: 100, after })
      for (const note of page.data) {
        for (const line of note.lines) if (overlaps(line, interval)) yield creditedRow(note, line)
      }
      after = page.next
    } while (after !== null)
  }

  async function* unbilled(tenant: TenantId, interval: Interval): AsyncGenerator<RatedUsageRow> {
    let after: CustomerKey | null = null
    for (;;) {
      const customers = await deps.lines.customers(tenant, pageRowsMax, after)
      for (const customer of customers) yield* accrued(tenant, customer, interval)
      after = customers.at(-1) ?? null
      if (customers.length < pageRowsMax) return
    }
  }

  /** What the customer's open closes would bill by now, and what the running period has come to. */
  async function* accrued(
    tenant: TenantId,
    customer: CustomerKey,
    interval: Interval,
  ): AsyncGenerator<RatedUsageRow> {
    const account = await readAccount(deps, tenant, customer)
    if (account === null) return
    const now = await deps.time.nowOf(tenant, customer)
    const until = interval.end < now ? interval.end : now
    const reached = await takeCut(deps.usage, deps.limits.journalWaitMs)
    if (reached.kind !== 'cut') throw new RatedUsageError(customer, reached)
    const seen = new Set<string>()
    const passed: Instant[] = []
    for (;;) {
      const closesAt = nextOpenClose(account, passed, terms.acceptBackMs)
      if (closesAt === null) return
      passed.push(closesAt)
      const usageUntil = until < closesAt ? until : closesAt
      const draft = await computeDraft(
        { ...account, ...terms, closesAt, usageUntil, cut: reached.cut },
        sources,
      )
      if (draft.kind !== 'draft') throw new RatedUsageError(customer, refusalOf(draft))
      const notes = draft.creditNotes.flatMap(({ document }) => document.lines.map(negated))
      for (const line of [...draft.document.lines, ...notes]) {
        // Every draft compares with the same invoices: a correction shows in each of them.
        const key = `${line.key} ${line.revision}`
        if (seen.has(key) || !overlaps(line, interval)) continue
        seen.add(key)
        yield rowOf('unbilled', line, { customer, currency: draft.document.currency })
      }
      // The first close that is not over holds the running period; what comes later has not begun.
      if (closesAt >= until) return
    }
  }

  return async function* (tenant, interval) {
    yield* invoiced(tenant, interval)
    yield* credited(tenant, interval)
    yield* unbilled(tenant, interval)
  }
}

function overlaps(line: InvoiceLine, { start, end }: Interval): boolean {
  return Date.parse(line.start) < end && Date.parse(line.end) > start
}

function creditedRow(note: CreditNote, line: InvoiceLine): RatedUsageRow {
  return {
    ...rowOf('credited', negated(line), note),
    document: note.number,
    documentId: note.id,
    issuedAt: note.issuedAt,
  }
}

function negated(line: InvoiceLine): InvoiceLine {
  return {
    ...line,
    quantity: toText(negate(decimal(line.quantity))),
    amount: toFixedText(negate(decimal(line.amount))),
    exactAmount: toText(negate(decimal(line.exactAmount))),
  }
}

function rowOf(
  status: RatedUsageRow['status'],
  line: InvoiceLine,
  { customer, currency }: { readonly customer: CustomerKey; readonly currency: string },
): RatedUsageRow {
  const { id, kind, subscription, plan, planVersion, price, name, meter, quantity, amount, exactAmount } =
    line
  return {
    status,
    document: null,
    documentId: null,
    issuedAt: null,
    customer,
    currency,
    line: id,
    kind,
    subscription,
    plan,
    planVersion,
    price,
    name,
    meter,
    quantity,
    amount,
    exactAmount,
    start: line.start,
    end: line.end,
  }
}
