import { sql, type Transaction } from 'kysely'
import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import {
  amountText,
  type CommandEffects,
  type HeldInvoice,
  isChange,
  type Notice,
  paidBy,
} from '../invoice/command.ts'
import type { InvoiceDocument } from '../invoice/invoice.ts'
import type { InvoiceState } from '../invoice/lifecycle.ts'
import type { Currency } from '../money/currency.ts'
import { add, decimal, type Decimal, toFixedText } from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'
import { paymentOf } from './invoice-rows.ts'
import type { Schema } from './schema.ts'

type Trx = Transaction<Schema>

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

export async function moveBalance(
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
