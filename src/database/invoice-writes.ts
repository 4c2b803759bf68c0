import { sql, type Transaction } from 'kysely'
import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import {
  amountText,
  type CommandEffects,
  finalizedNotices,
  type HeldInvoice,
  isChange,
  type Notice,
  paidBy,
  planCredit,
} from '../invoice/command.ts'
import type { CreditNote, Invoice, InvoiceDocument } from '../invoice/invoice.ts'
import type { InvoiceState } from '../invoice/lifecycle.ts'
import type { CreditNoteIssue, Finalization } from '../invoice/ports.ts'
import { beginReceivable, type ReceivableDecision } from '../invoice/receivable.ts'
import type { Currency } from '../money/currency.ts'
import { add, decimal, type Decimal, toFixedText, ZERO } from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'
import { creditNoteOf, paymentOf } from './invoice-rows.ts'
import type { Schema } from './schema.ts'

/** A tenant that names no legal entities has this one. */
export const DEFAULT_ENTITY = 'default'
const PREFIXES = { invoice: 'INV-', creditNote: 'CN-' } as const
/** Shorter numbers are padded, so that they sort. */
const numberDigitsMin = 6
/** Bound parameters of one statement stay below PostgreSQL's 65,535. */
const linesOfInsertMax = 1000

type Trx = Transaction<Schema>

/** The version of the customer's ledger, locked: whoever else wants to change this customer's invoices waits. */
export async function lockLedger(trx: Trx, tenant: TenantId, customer: CustomerKey): Promise<number> {
  return (await lockLedgers(trx, tenant, [customer])).get(customer) ?? 0
}

/** As `lockLedger`, of many customers; locked in one order, so that two batches never wait for each other in a circle. */
export async function lockLedgers(
  trx: Trx,
  tenant: TenantId,
  customers: readonly CustomerKey[],
): Promise<Map<CustomerKey, number>> {
  const sorted = [...new Set(customers)].sort()
  await trx
    .insertInto('invoice_ledgers')
    .values(sorted.map((customer) => ({ tenant, customer, version: 0 })))
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const rows = await trx
    .selectFrom('invoice_ledgers')
    .select(['customer', 'version'])
    .where('tenant', '=', tenant)
    .where('customer', 'in', sorted)
    .orderBy(sql`customer collate "C"`)
    .forUpdate()
    .execute()
  return new Map(rows.map(({ customer, version }) => [customer as CustomerKey, version]))
}

export async function raiseLedgers(
  trx: Trx,
  tenant: TenantId,
  customers: readonly CustomerKey[],
): Promise<void> {
  if (customers.length === 0) return
  await trx
    .updateTable('invoice_ledgers')
    .set((column) => ({ version: column('version', '+', 1) }))
    .where('tenant', '=', tenant)
    .where('customer', 'in', customers)
    .execute()
}

/** The customers' credit, by customer and currency. */
async function balancesOf(
  trx: Trx,
  tenant: TenantId,
  customers: readonly CustomerKey[],
): Promise<ReadonlyMap<string, Decimal>> {
  const rows = await trx
    .selectFrom('customer_credits')
    .select(['customer', 'currency', sql<string>`sum(amount)`.as('balance')])
    .where('tenant', '=', tenant)
    .where('customer', 'in', customers)
    .groupBy(['customer', 'currency'])
    .execute()
  return new Map(
    rows.map(({ customer, currency, balance }) => [balanceKey(customer, currency), decimal(balance)]),
  )
}

function balanceKey(customer: string, currency: string): string {
  return JSON.stringify([customer, currency])
}

export type InvoiceFinalization = Finalization & { readonly invoice: NonNullable<Finalization['invoice']> }

/**
 * Numbers, headers, lines, and what settles them at once, of invoices of different customers in few statements; a batch
 * costs about as much as one. The ledgers are locked.
 */
export async function writeInvoices(
  trx: Trx,
  tenant: TenantId,
  finalizations: readonly InvoiceFinalization[],
): Promise<readonly Invoice[]> {
  if (finalizations.length === 0) return []
  const counter = await takeNumbers(trx, tenant, 'invoice', finalizations.length)
  const customers = finalizations.map(({ customer }) => customer)
  const balances = await balancesOf(trx, tenant, customers)
  let lastHash = counter.lastHash
  const written = finalizations.map((finalization, i) => {
    const sequence = counter.first + i
    const number = numberText(counter.prefix, sequence)
    const { document, text, hash } = finalization.invoice.seal(number, lastHash)
    lastHash = hash
    const balance = balances.get(balanceKey(finalization.customer, document.currency)) ?? ZERO
    const begun = beginReceivable(finalization.invoice.total, balance)
    return { finalization, sequence, number, document, text, hash, ...begun }
  })
  await trx
    .insertInto('invoices')
    .values(
      written.map(({ finalization, sequence, number, document, text, hash, receivable }) => ({
        tenant,
        id: document.id,
        legal_entity: DEFAULT_ENTITY,
        sequence,
        number,
        customer: finalization.customer,
        state: receivable.state,
        currency: document.currency,
        period_start: new Date(document.periodStart),
        period_end: new Date(finalization.periodEnd),
        issued_at: new Date(finalization.issuedAt),
        due_at: new Date(required(document.dueAt)),
        subtotal: document.subtotal,
        tax: document.tax,
        total: document.total,
        amount_paid: toFixedText(receivable.paidFromBalance),
        amount_credited: '0',
        credit_noted: '0',
        hash,
        document: text,
        basis: finalization.invoice.basis,
      })),
    )
    .execute()
  await writeLines(
    trx,
    tenant,
    written.map(({ document }) => document),
  )
  if (lastHash !== null) await keepHash(trx, tenant, 'invoice', lastHash)
  for (const { finalization, number, document, receivable, toBalance } of written) {
    const { customer, issuedAt } = finalization
    if (isChange(toBalance)) {
      await moveBalance(trx, tenant, customer, document, toBalance, `invoice ${number}`, issuedAt)
    }
    if (isChange(receivable.paidFromBalance)) {
      await payFromBalance(trx, tenant, document, receivable.paidFromBalance, issuedAt)
    }
  }
  const told = written.flatMap(({ finalization, number, document, receivable }) =>
    finalizedNotices(number, receivable.state).map(({ event, detail }, i) => ({
      tenant,
      invoice: document.id,
      number: i + 1,
      event,
      state: receivable.state,
      at: new Date(finalization.issuedAt),
      detail: JSON.stringify(detail),
    })),
  )
  await trx.insertInto('invoice_events').values(told).execute()
  return written.map(({ document, receivable, hash }) => ({
    ...document,
    state: receivable.state,
    amountPaid: amountText(receivable.paidFromBalance, document.currency as Currency),
    amountCredited: amountText(ZERO, document.currency as Currency),
    hash,
  }))
}

async function payFromBalance(
  trx: Trx,
  tenant: TenantId,
  { id, currency }: InvoiceDocument,
  taken: Decimal,
  at: Instant,
): Promise<void> {
  await trx
    .insertInto('invoice_payments')
    .values({
      tenant,
      id: `${id}-balance`,
      invoice: id,
      kind: 'balance',
      amount: toFixedText(taken),
      applied: toFixedText(taken),
      currency,
      received_at: new Date(at),
      method: 'customer credit',
      reference: null,
      note: null,
      idempotency_key: null,
      returned_at: null,
      return_reason: null,
    })
    .execute()
}

export type CreditWritten =
  | { readonly kind: 'written'; readonly creditNote: CreditNote }
  | Exclude<ReceivableDecision, { readonly kind: 'changed' }>

/** Number, document, and what it does to the invoice that it corrects. The ledger is locked. */
export async function writeCreditNote(
  trx: Trx,
  tenant: TenantId,
  customer: CustomerKey,
  issue: CreditNoteIssue,
  at: Instant,
): Promise<CreditWritten> {
  const held = await holdInvoice(trx, tenant, issue.invoice)
  if (held === null) throw new Error(`the invoice ${issue.invoice} of a credit note is not there`)
  const counter = await takeNumbers(trx, tenant, 'creditNote', 1)
  const number = numberText(counter.prefix, counter.first)
  const planned = planCredit(held.held, issue.total, number)
  if (planned.kind !== 'effects') {
    await giveNumberBack(trx, tenant, 'creditNote')
    return planned
  }
  const { document, text, hash } = issue.seal(number, counter.lastHash)
  const row = { document: text, hash, total: document.total, applied: toFixedText(planned.applied) }
  await trx
    .insertInto('credit_notes')
    .values({
      ...row,
      tenant,
      id: document.id,
      legal_entity: DEFAULT_ENTITY,
      sequence: counter.first,
      number,
      customer,
      invoice: issue.invoice,
      closes_at: issue.closesAt === null ? null : new Date(issue.closesAt),
      currency: document.currency,
      issued_at: new Date(at),
    })
    .execute()
  await keepHash(trx, tenant, 'creditNote', hash)
  await writeEffects(trx, tenant, customer, issue.invoice, held.held.currency, planned.effects, at)
  return { kind: 'written', creditNote: creditNoteOf(row) }
}

export interface HeldRow {
  readonly customer: CustomerKey
  readonly held: HeldInvoice
}

/** An invoice with its payments, locked; null when there is none. */
export async function holdInvoice(trx: Trx, tenant: TenantId, invoice: InvoiceId): Promise<HeldRow | null> {
  const row = await trx
    .selectFrom('invoices')
    .select(['customer', 'state', 'currency', 'total', 'amount_credited', 'credit_noted'])
    .where('tenant', '=', tenant)
    .where('id', '=', invoice)
    .forUpdate()
    .executeTakeFirst()
  if (row === undefined) return null
  const payments = await trx
    .selectFrom('invoice_payments')
    .selectAll()
    .where('tenant', '=', tenant)
    .where('invoice', '=', invoice)
    .orderBy('id')
    .execute()
  const held = payments.map(paymentOf)
  // A void invoice keeps the record of what was applied, and owes nothing.
  const { manual, balance } = row.state === 'void' ? paidBy([]) : paidBy(held)
  return {
    customer: row.customer as CustomerKey,
    held: {
      currency: row.currency as Currency,
      payments: held,
      receivable: {
        state: row.state as InvoiceState,
        total: decimal(row.total),
        paid: manual,
        paidFromBalance: balance,
        credited: decimal(row.amount_credited),
        creditNoted: decimal(row.credit_noted),
      },
    },
  }
}

/** Writes what a command changes. */
export async function writeEffects(
  trx: Trx,
  tenant: TenantId,
  customer: CustomerKey,
  invoice: InvoiceId,
  currency: Currency,
  effects: CommandEffects,
  at: Instant,
): Promise<void> {
  const { receivable, recorded, returned } = effects
  await trx
    .updateTable('invoices')
    .set({
      state: receivable.state,
      amount_paid: toFixedText(add(receivable.paid, receivable.paidFromBalance)),
      amount_credited: toFixedText(receivable.credited),
      credit_noted: toFixedText(receivable.creditNoted),
      rebill: effects.rebill,
    })
    .where('tenant', '=', tenant)
    .where('id', '=', invoice)
    .executeTakeFirstOrThrow()
  if (recorded !== null) {
    const { payment, applied } = recorded
    await trx
      .insertInto('invoice_payments')
      .values({
        tenant,
        id: payment.id,
        invoice,
        kind: 'manual',
        amount: amountText(payment.amount, currency),
        applied: amountText(applied, currency),
        currency,
        received_at: new Date(payment.receivedAt),
        method: payment.method,
        reference: payment.reference,
        note: payment.note,
        idempotency_key: payment.idempotencyKey,
        returned_at: null,
        return_reason: null,
      })
      .execute()
  }
  if (returned !== null) {
    await trx
      .updateTable('invoice_payments')
      .set({ returned_at: new Date(returned.at), return_reason: returned.reason })
      .where('tenant', '=', tenant)
      .where('id', '=', returned.payment)
      .executeTakeFirstOrThrow()
  }
  if (isChange(effects.toBalance)) {
    await moveBalance(
      trx,
      tenant,
      customer,
      { id: invoice, currency },
      effects.toBalance,
      effects.balanceReason,
      at,
    )
  }
  await tell(trx, tenant, invoice, receivable.state, effects.notices, at)
}

async function moveBalance(
  trx: Trx,
  tenant: TenantId,
  customer: CustomerKey,
  { id, currency }: Pick<InvoiceDocument, 'id' | 'currency'>,
  amount: Decimal,
  reason: string,
  at: Instant,
): Promise<void> {
  await trx
    .insertInto('customer_credits')
    .values({
      tenant,
      customer,
      currency,
      amount: toFixedText(amount),
      reason,
      invoice: id,
      at: new Date(at),
    })
    .execute()
}

async function tell(
  trx: Trx,
  tenant: TenantId,
  invoice: InvoiceId,
  state: InvoiceState,
  notices: readonly Notice[],
  at: Instant,
): Promise<void> {
  if (notices.length === 0) return
  const { count } = await trx
    .selectFrom('invoice_events')
    .select(sql<number>`count(*)`.as('count'))
    .where('tenant', '=', tenant)
    .where('invoice', '=', invoice)
    .executeTakeFirstOrThrow()
  await trx
    .insertInto('invoice_events')
    .values(
      notices.map(({ event, detail }, i) => ({
        tenant,
        invoice,
        number: count + i + 1,
        event,
        state,
        at: new Date(at),
        detail: JSON.stringify(detail),
      })),
    )
    .execute()
}

interface TakenNumbers {
  readonly prefix: string
  readonly first: number
  readonly lastHash: string | null
}

/** Takes the next numbers. The row stays locked to the end of the transaction; a rollback gives them back. */
async function takeNumbers(
  trx: Trx,
  tenant: TenantId,
  document: keyof typeof PREFIXES,
  count: number,
): Promise<TakenNumbers> {
  await trx
    .insertInto('invoice_counters')
    .values({
      tenant,
      legal_entity: DEFAULT_ENTITY,
      document,
      prefix: PREFIXES[document],
      next_number: 1,
      last_hash: null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const row = await trx
    .updateTable('invoice_counters')
    .set((column) => ({ next_number: column('next_number', '+', count) }))
    .where('tenant', '=', tenant)
    .where('legal_entity', '=', DEFAULT_ENTITY)
    .where('document', '=', document)
    .returning(['prefix', 'next_number', 'last_hash'])
    .executeTakeFirstOrThrow()
  return { prefix: row.prefix, first: row.next_number - count, lastHash: row.last_hash }
}

function numberText(prefix: string, sequence: number): string {
  return `${prefix}${String(sequence).padStart(numberDigitsMin, '0')}`
}

/** Within the transaction that took it, for a document that was not written. */
async function giveNumberBack(trx: Trx, tenant: TenantId, document: keyof typeof PREFIXES): Promise<void> {
  await trx
    .updateTable('invoice_counters')
    .set((column) => ({ next_number: column('next_number', '-', 1) }))
    .where('tenant', '=', tenant)
    .where('legal_entity', '=', DEFAULT_ENTITY)
    .where('document', '=', document)
    .executeTakeFirstOrThrow()
}

async function keepHash(
  trx: Trx,
  tenant: TenantId,
  document: keyof typeof PREFIXES,
  hash: string,
): Promise<void> {
  await trx
    .updateTable('invoice_counters')
    .set({ last_hash: hash })
    .where('tenant', '=', tenant)
    .where('legal_entity', '=', DEFAULT_ENTITY)
    .where('document', '=', document)
    .executeTakeFirstOrThrow()
}

async function writeLines(
  trx: Trx,
  tenant: TenantId,
  documents: readonly Pick<InvoiceDocument, 'id' | 'lines'>[],
): Promise<void> {
  const rows = documents.flatMap(({ id: invoice, lines }) =>
    lines.map((line, position) => ({
      tenant,
      invoice,
      position,
      id: line.id,
      kind: line.kind,
      charge: line.key,
      revision: line.revision,
      subscription: line.subscription,
      plan: line.plan,
      plan_version: line.planVersion,
      price: line.price,
      name: line.name,
      meter: line.meter,
      meter_revision: line.meterRevision,
      quantity: line.quantity,
      amount: line.amount,
      exact_amount: line.exactAmount,
      starts_at: new Date(line.start),
      ends_at: new Date(line.end),
    })),
  )
  for (let first = 0; first < rows.length; first += linesOfInsertMax) {
    await trx
      .insertInto('invoice_lines')
      .values(rows.slice(first, first + linesOfInsertMax))
      .execute()
  }
}

function required(text: string | null): string {
  if (text === null) throw new Error('a sealed invoice has a due date')
  return text
}
