import type { CustomerKey, InvoiceId, TenantId } from '../../src/id/ids.ts'
import {
  amountText,
  type CommandEffects,
  finalizedNotices,
  type HeldInvoice,
  type Notice,
  paidBy,
  planCommand,
  planCredit,
} from '../../src/invoice/command.ts'
import type { CreditNote, Invoice } from '../../src/invoice/invoice.ts'
import type {
  CreditNoteIssue,
  CustomerLedger,
  Finalization,
  FinalizeOutcome,
  InvoiceArchive,
  InvoiceStore,
} from '../../src/invoice/ports.ts'
import type {
  CommandOutcome,
  CreditNoteStore,
  HistoryEntry,
  Payment,
  ReceivablesStore,
} from '../../src/invoice/receivable-ports.ts'
import type { RatedUsageStore } from '../../src/invoice/rated-usage.ts'
import { beginReceivable, type Receivable } from '../../src/invoice/receivable.ts'
import type { Currency } from '../../src/money/currency.ts'
import { add, type Decimal, isZero, subtract, ZERO } from '../../src/money/decimal.ts'
import type { Instant } from '../../src/time/instant.ts'

interface Entry {
  readonly tenant: TenantId
  readonly customer: CustomerKey
  readonly periodEnd: Instant
  readonly issuedAt: Instant
  readonly text: string
  readonly basis: string
  readonly hashBefore: string | null
  invoice: Invoice
  receivable: Receivable
  rebill: boolean
  payments: (Payment & { idempotencyKey: string | null })[]
  history: HistoryEntry[]
}

interface NoteEntry {
  readonly tenant: TenantId
  readonly customer: CustomerKey
  readonly issue: CreditNoteIssue
  readonly at: Instant
  readonly note: CreditNote
}

export type MemoryInvoiceStore = InvoiceStore &
  InvoiceArchive & {
    readonly receivables: ReceivablesStore
    readonly creditNotes: CreditNoteStore
    readonly exports: RatedUsageStore
    /** The stored bytes of every invoice, by id. */
    readonly texts: ReadonlyMap<string, string>
  }

/** The store's promises kept in memory: one number after the other, and nothing on an outdated ledger. */
export function memoryStore(): MemoryInvoiceStore {
  const entries: Entry[] = []
  const notes: NoteEntry[] = []
  const versions = new Map<CustomerKey, number>()
  const credits: { customer: CustomerKey; currency: string; amount: Decimal }[] = []
  const texts = new Map<string, string>()

  const versionOf = (customer: CustomerKey): number => versions.get(customer) ?? 0
  const raise = (customer: CustomerKey): unknown => versions.set(customer, versionOf(customer) + 1)
  const balanceOf = (customer: CustomerKey, currency: string): Decimal =>
    credits
      .filter((one) => one.customer === customer && one.currency === currency)
      .reduce((sum, { amount }) => add(sum, amount), ZERO)
  const find = (tenant: TenantId, id: InvoiceId): Entry | undefined =>
    entries.find((entry) => entry.tenant === tenant && entry.invoice.id === id)

  function tell(entry: Entry, notices: readonly Notice[], at: Instant): void {
    for (const { event, detail } of notices) {
      entry.history.push({ number: entry.history.length + 1, event, state: entry.invoice.state, at, detail })
    }
  }

  function show(entry: Entry): void {
    const { receivable } = entry
    const currency = entry.invoice.currency as Currency
    entry.invoice = {
      ...entry.invoice,
      state: receivable.state,
      amountPaid: amountText(add(receivable.paid, receivable.paidFromBalance), currency),
      amountCredited: amountText(receivable.credited, currency),
    }
  }

  function write(entry: Entry, effects: CommandEffects, at: Instant): void {
    const currency = entry.invoice.currency as Currency
    entry.receivable = effects.receivable
    entry.rebill = effects.rebill
    show(entry)
    if (effects.recorded !== null) {
      const { payment, applied } = effects.recorded
      entry.payments.push({
        ...payment,
        invoice: entry.invoice.id,
        kind: 'manual',
        amount: amountText(payment.amount, currency),
        applied: amountText(applied, currency),
        toBalance: amountText(subtract(payment.amount, applied), currency),
        currency,
        returnedAt: null,
        returnReason: null,
      })
    }
    const { returned } = effects
    if (returned !== null) {
      entry.payments = entry.payments.map((payment) =>
        payment.id === returned.payment
          ? { ...payment, returnedAt: returned.at, returnReason: returned.reason }
          : payment,
      )
    }
    credits.push({ customer: entry.customer, currency, amount: effects.toBalance })
    tell(entry, effects.notices, at)
  }

  function held(entry: Entry): HeldInvoice {
    return {
      currency: entry.invoice.currency as Currency,
      receivable: entry.receivable,
      payments: entry.payments,
    }
  }

  function writeCredit(
    tenant: TenantId,
    customer: CustomerKey,
    issue: CreditNoteIssue,
    at: Instant,
  ): CreditNote | Exclude<ReturnType<typeof planCredit>, { kind: 'effects' }> {
    const entry = find(tenant, issue.invoice)
    if (entry === undefined) throw new Error(`no invoice ${issue.invoice}`)
    const number = `CN-${String(notes.length + 1).padStart(6, '0')}`
    const planned = planCredit(held(entry), issue.total, number)
    if (planned.kind !== 'effects') return planned
    const sealed = issue.seal(number, notes.at(-1)?.note.hash ?? null)
    const rest = subtract(issue.total, planned.applied)
    const currency = entry.invoice.currency as Currency
    const note: CreditNote = {
      ...sealed.document,
      state: isZero(rest) ? 'applied' : 'balance',
      appliedToInvoice: amountText(planned.applied, currency),
      addedToBalance: amountText(rest, currency),
      hash: sealed.hash,
    }
    notes.push({ tenant, customer, issue, at, note })
    write(entry, planned.effects, at)
    return note
  }

  function finalizeOne(finalization: Finalization): FinalizeOutcome {
    const { tenant, customer, periodEnd, issuedAt, basedOn } = finalization
    if (versionOf(customer) !== basedOn) return { kind: 'outdated' }
    let invoice: Invoice | null = null
    if (finalization.invoice !== null) {
      const number = `INV-${String(entries.length + 1).padStart(6, '0')}`
      const before = entries.at(-1)?.invoice.hash ?? null
      const { document, text, hash } = finalization.invoice.seal(number, before)
      if (
        entries.some(
          (one) => one.customer === customer && one.periodEnd === periodEnd && one.invoice.state !== 'void',
        )
      ) {
        throw new Error(`a second invoice of ${customer} for ${document.periodEnd}`)
      }
      if (entries.some((one) => one.invoice.id === document.id)) throw new Error(`a second ${document.id}`)
      const begun = beginReceivable(finalization.invoice.total, balanceOf(customer, document.currency))
      const currency = document.currency as Currency
      const entry: Entry = {
        tenant,
        customer,
        periodEnd,
        issuedAt,
        text,
        basis: finalization.invoice.basis,
        hashBefore: before,
        invoice: { ...document, state: 'finalized', amountPaid: '', amountCredited: '', hash },
        receivable: begun.receivable,
        rebill: false,
        payments: [],
        history: [],
      }
      show(entry)
      if (!isZero(begun.receivable.paidFromBalance)) {
        const amount = amountText(begun.receivable.paidFromBalance, currency)
        entry.payments.push({
          id: `${document.id}-balance`,
          invoice: document.id,
          kind: 'balance',
          amount,
          applied: amount,
          toBalance: amountText(ZERO, currency),
          currency,
          receivedAt: issuedAt,
          method: 'customer credit',
          reference: null,
          note: null,
          returnedAt: null,
          returnReason: null,
          idempotencyKey: null,
        })
      }
      entries.push(entry)
      texts.set(document.id, text)
      credits.push({ customer, currency, amount: begun.toBalance })
      tell(entry, finalizedNotices(number, entry.invoice.state), issuedAt)
      invoice = entry.invoice
    }
    const creditNotes = finalization.creditNotes.map((issue) => {
      const note = writeCredit(tenant, customer, issue, issuedAt)
      if ('kind' in note) throw new Error(`cannot be credited: ${JSON.stringify(note)}`)
      return note
    })
    raise(customer)
    if (invoice !== null) return { kind: 'finalized', invoice, creditNotes }
    const [first, ...rest] = creditNotes
    if (first === undefined) throw new Error('a finalization of nothing')
    return { kind: 'credited', creditNotes: [first, ...rest] }
  }

  function ledger(tenant: TenantId, customer: CustomerKey): CustomerLedger {
    const own = entries.filter((entry) => entry.tenant === tenant && entry.customer === customer)
    return {
      version: versionOf(customer),
      invoices: own.map(({ invoice, periodEnd, issuedAt, rebill }) => ({
        id: invoice.id,
        number: invoice.number ?? '',
        state: invoice.state,
        periodEnd,
        issuedAt,
        taxBehavior: invoice.taxBehavior,
        taxRounding: invoice.taxRounding,
        total: invoice.total,
        rebill,
      })),
      lines: own
        .filter(({ invoice }) => invoice.state !== 'void')
        .flatMap(({ invoice }) =>
          invoice.lines.map((line) => ({ invoice: invoice.id, number: invoice.number ?? '', line })),
        ),
      voided: new Set(
        own
          .filter(({ invoice }) => invoice.state === 'void')
          .flatMap(({ invoice }) => invoice.lines.map(({ key }) => key)),
      ),
      creditNotes: notes
        .filter((one) => one.tenant === tenant && one.customer === customer)
        .map(({ note, issue }) => ({
          id: note.id,
          number: note.number ?? '',
          correctsInvoice: issue.invoice,
          closesAt: issue.closesAt,
          total: note.total,
          lines: note.lines,
        })),
    }
  }

  const receivables: ReceivablesStore = {
    command: async (tenant, id, command, at): Promise<CommandOutcome> => {
      const entry = find(tenant, id)
      if (entry === undefined) return { kind: 'unknownInvoice' }
      const planned = planCommand(held(entry), command, at)
      if (planned.kind === 'repeated') {
        return { kind: 'done', invoice: entry.invoice, payment: planned.payment, creditNote: null }
      }
      if (planned.kind !== 'effects') return planned
      write(entry, planned.effects, at)
      if (command.kind === 'void') raise(entry.customer)
      const payment =
        command.kind === 'pay'
          ? command.payment.id
          : command.kind === 'returnPayment'
            ? command.payment
            : null
      return {
        kind: 'done',
        invoice: entry.invoice,
        payment: entry.payments.find((one) => one.id === payment) ?? null,
        creditNote: null,
      }
    },
    credit: async (tenant, customer, basedOn, issue, at) => {
      if (versionOf(customer) !== basedOn) return { kind: 'outdated' }
      const note = writeCredit(tenant, customer, issue, at)
      if ('kind' in note) return note
      raise(customer)
      const entry = find(tenant, issue.invoice)
      if (entry === undefined) throw new Error('the invoice went away')
      return { kind: 'done', invoice: entry.invoice, payment: null, creditNote: note }
    },
    payments: async (tenant, id) => find(tenant, id)?.payments ?? [],
    history: async (tenant, id) => find(tenant, id)?.history ?? [],
    balance: async (_, customer) => {
      const currencies = new Set(
        credits.filter((one) => one.customer === customer).map((one) => one.currency),
      )
      return new Map(
        [...currencies].map((currency) => [
          currency,
          amountText(balanceOf(customer, currency), currency as Currency),
        ]),
      )
    },
  }

  const creditNotes: CreditNoteStore = {
    get: async (tenant, id) => notes.find((one) => one.tenant === tenant && one.note.id === id)?.note ?? null,
    list: async (tenant, { customer, invoice, limit, after }) => {
      const found = notes
        .filter(
          (one) =>
            one.tenant === tenant &&
            (customer === null || one.customer === customer) &&
            (invoice === null || one.issue.invoice === invoice),
        )
        .map(({ note, at }) => ({ item: note, at }))
      return pageOf(found, limit, after)
    },
  }

  const exports: RatedUsageStore = {
    lines: async (tenant, { start, end }) => ({
      rows: entries
        .filter((entry) => entry.tenant === tenant && entry.invoice.state !== 'void')
        .flatMap(({ invoice, customer }) =>
          invoice.lines
            .filter((line) => Date.parse(line.start) < end && Date.parse(line.end) > start)
            .map((line) => ({
              status: 'invoiced' as const,
              document: invoice.number,
              documentId: invoice.id,
              issuedAt: invoice.issuedAt,
              customer,
              currency: invoice.currency,
              line: line.id,
              kind: line.kind,
              subscription: line.subscription,
              plan: line.plan,
              planVersion: line.planVersion,
              price: line.price,
              name: line.name,
              meter: line.meter,
              quantity: line.quantity,
              amount: line.amount,
              exactAmount: line.exactAmount,
              start: line.start,
              end: line.end,
            })),
        ),
      next: null,
    }),
    customers: async (_, __, after) => (after === null ? (['acme'] as CustomerKey[]) : []),
  }

  return {
    texts,
    exports,
    receivables,
    creditNotes,
    ledger: async (tenant, customer) => ledger(tenant, customer),
    ledgers: async (tenant, customers) =>
      new Map(customers.map((customer) => [customer, ledger(tenant, customer)])),
    finalize: async (finalization) => finalizeOne(finalization),
    finalizeMany: async (finalizations) => finalizations.map(finalizeOne),
    get: async (tenant, id) => find(tenant, id)?.invoice ?? null,
    creditNote: (tenant, id) => creditNotes.get(tenant, id),
    record: async (tenant, id) => {
      const entry = find(tenant, id)
      if (entry === undefined) return null
      const { customer, text, basis, hashBefore, invoice } = entry
      return { tenant, customer, text, basis, hashBefore, hash: invoice.hash }
    },
    list: async (tenant, { customer, state, limit, after }) => {
      const found = entries
        .filter(
          (entry) =>
            entry.tenant === tenant &&
            (customer === null || entry.customer === customer) &&
            (state === null || entry.invoice.state === state),
        )
        .map(({ invoice, issuedAt }) => ({ item: invoice, at: issuedAt }))
      return pageOf(found, limit, after)
    },
  }
}

/** Latest first, from behind the position on. */
function pageOf<Item extends { readonly id: string }>(
  found: readonly { readonly item: Item; readonly at: Instant }[],
  limit: number,
  after: { readonly issuedAt: Instant; readonly id: string } | null,
): { data: Item[]; next: { issuedAt: Instant; id: string } | null } {
  const rest = found
    .toSorted((a, b) => b.at - a.at || (a.item.id < b.item.id ? 1 : -1))
    .filter(
      ({ item, at }) =>
        after === null || at < after.issuedAt || (at === after.issuedAt && item.id < after.id),
    )
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  const next = rest.length > limit && last !== undefined ? { issuedAt: last.at, id: last.item.id } : null
  return { data: page.map(({ item }) => item), next }
}

/** What payments and customer credit have settled, as a check on what an invoice shows. */
export function settledBy(payments: readonly Payment[]): Decimal {
  const { manual, balance } = paidBy(payments)
  return add(manual, balance)
}
