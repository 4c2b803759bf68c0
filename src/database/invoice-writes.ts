import { sql, type Transaction } from 'kysely'
import type { CustomerKey, TenantId } from '../id/ids.ts'
import { amountText, finalizedNotices, isChange, planCredit } from '../invoice/command.ts'
import type { CreditNote, Invoice, InvoiceDocument } from '../invoice/invoice.ts'
import type { CreditNoteIssue, Finalization } from '../invoice/ports.ts'
import { beginReceivable, type ReceivableDecision } from '../invoice/receivable.ts'
import type { Currency } from '../money/currency.ts'
import { decimal, type Decimal, toFixedText, ZERO } from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'
import { creditNoteOf } from './invoice-rows.ts'
import { holdInvoice, moveBalance, writeEffects } from './invoice-effects.ts'
import { DEFAULT_ENTITY, giveNumberBack, keepHash, numberText, takeNumbers } from './invoice-numbers.ts'
import type { Schema } from './schema.ts'

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
