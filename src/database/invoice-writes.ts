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
import { add, decimal, type Decimal, toFixedText } from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'
import { creditNoteOf, invoiceOf, paymentOf } from './invoice-rows.ts'
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
  await trx
    .insertInto('invoice_ledgers')
    .values({ tenant, customer, version: 0 })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const { version } = await trx
    .selectFrom('invoice_ledgers')
    .select('version')
    .where('tenant', '=', tenant)
    .where('customer', '=', customer)
    .forUpdate()
    .executeTakeFirstOrThrow()
  return version
}

export async function raiseLedger(trx: Trx, tenant: TenantId, customer: CustomerKey): Promise<void> {
  await trx
    .updateTable('invoice_ledgers')
    .set((column) => ({ version: column('version', '+', 1) }))
    .where('tenant', '=', tenant)
    .where('customer', '=', customer)
    .executeTakeFirstOrThrow()
}

/** The customer's credit in a currency. */
export async function balanceOf(
  trx: Trx,
  tenant: TenantId,
  customer: CustomerKey,
  currency: string,
): Promise<Decimal> {
  const row = await trx
    .selectFrom('customer_credits')
    .select(sql<string>`coalesce(sum(amount), 0)`.as('balance'))
    .where('tenant', '=', tenant)
    .where('customer', '=', customer)
    .where('currency', '=', currency)
    .executeTakeFirstOrThrow()
  return decimal(row.balance)
}

/** Number, header, lines, and what settles it at once. The ledger is locked. */
export async function writeInvoice(
  trx: Trx,
  finalization: Finalization,
  { total, basis, seal }: NonNullable<Finalization['invoice']>,
): Promise<Invoice> {
  const { tenant, customer, periodEnd, issuedAt } = finalization
  const counter = await takeNumber(trx, tenant, 'invoice')
  const { document, text, hash } = seal(counter.number, counter.lastHash)
  const balance = await balanceOf(trx, tenant, customer, document.currency)
  const { receivable, toBalance } = beginReceivable(total, balance)
  const row = {
    document: text,
    state: receivable.state,
    hash,
    amount_paid: toFixedText(receivable.paidFromBalance),
    amount_credited: '0',
  }
  await trx
    .insertInto('invoices')
    .values({
      ...row,
      tenant,
      id: document.id,
      legal_entity: DEFAULT_ENTITY,
      sequence: counter.sequence,
      number: counter.number,
      customer,
      currency: document.currency,
      period_start: new Date(document.periodStart),
      period_end: new Date(periodEnd),
      issued_at: new Date(issuedAt),
      due_at: new Date(required(document.dueAt)),
      subtotal: document.subtotal,
      tax: document.tax,
      total: document.total,
      credit_noted: '0',
      basis,
    })
    .execute()
  await writeLines(trx, tenant, document)
  await keepHash(trx, tenant, 'invoice', hash)
  if (isChange(toBalance)) {
    await moveBalance(trx, tenant, customer, document, toBalance, `invoice ${counter.number}`, issuedAt)
  }
  if (isChange(receivable.paidFromBalance)) {
    await trx
      .insertInto('invoice_payments')
      .values({
        tenant,
        id: `${document.id}-balance`,
        invoice: document.id,
        kind: 'balance',
        amount: toFixedText(receivable.paidFromBalance),
        applied: toFixedText(receivable.paidFromBalance),
        currency: document.currency,
        received_at: new Date(issuedAt),
        method: 'customer credit',
        reference: null,
        note: null,
        idempotency_key: null,
        returned_at: null,
        return_reason: null,
      })
      .execute()
  }
  await tell(
    trx,
    tenant,
    document.id,
    receivable.state,
    finalizedNotices(counter.number, receivable.state),
    issuedAt,
  )
  return invoiceOf(row)
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
  const counter = await takeNumber(trx, tenant, 'creditNote')
  const planned = planCredit(held.held, issue.total, counter.number)
  if (planned.kind !== 'effects') {
    await giveNumberBack(trx, tenant, 'creditNote')
    return planned
  }
  const { document, text, hash } = issue.seal(counter.number, counter.lastHash)
  const row = { document: text, hash, total: document.total, applied: toFixedText(planned.applied) }
  await trx
    .insertInto('credit_notes')
    .values({
      ...row,
      tenant,
      id: document.id,
      legal_entity: DEFAULT_ENTITY,
      sequence: counter.sequence,
      number: counter.number,
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

interface TakenNumber {
  readonly number: string
  readonly sequence: number
  readonly lastHash: string | null
}

/** Takes the next number. The row stays locked to the end of the transaction; a rollback gives the number back. */
async function takeNumber(trx: Trx, tenant: TenantId, document: keyof typeof PREFIXES): Promise<TakenNumber> {
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
    .set((column) => ({ next_number: column('next_number', '+', 1) }))
    .where('tenant', '=', tenant)
    .where('legal_entity', '=', DEFAULT_ENTITY)
    .where('document', '=', document)
    .returning(['prefix', 'next_number', 'last_hash'])
    .executeTakeFirstOrThrow()
  const sequence = row.next_number - 1
  const number = `${row.prefix}${String(sequence).padStart(numberDigitsMin, '0')}`
  return { number, sequence, lastHash: row.last_hash }
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
  { id: invoice, lines }: InvoiceDocument,
): Promise<void> {
  for (let first = 0; first < lines.length; first += linesOfInsertMax) {
    const rows = lines.slice(first, first + linesOfInsertMax).map((line, index) => ({
      tenant,
      invoice,
      position: first + index,
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
    }))
    await trx.insertInto('invoice_lines').values(rows).execute()
  }
}

function required(text: string | null): string {
  if (text === null) throw new Error('a sealed invoice has a due date')
  return text
}
