import { sql } from 'kysely'
import { amountText, planCommand } from '../invoice/command.ts'
import type { InvoiceState } from '../invoice/lifecycle.ts'
import type { CommandOutcome, ReceivablesStore } from '../invoice/receivable-ports.ts'
import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import type { Currency } from '../money/currency.ts'
import { decimal } from '../money/decimal.ts'
import { instantOf } from '../time/instant.ts'
import type { Database } from './database.ts'
import { INVOICE_COLUMNS, invoiceOf, paymentOf } from './invoice-rows.ts'
import { holdInvoice, writeEffects } from './invoice-effects.ts'
import { lockLedger, raiseLedgers, writeCreditNote } from './invoice-writes.ts'
import type { Connection } from './transaction.ts'

/** Payments, voids, write-offs and credit notes in PostgreSQL. */
export function createReceivablesStore({ db }: Pick<Database, 'db'>): ReceivablesStore {
  return {
    command: (tenant, invoice, command, at) =>
      db.transaction().execute(async (trx): Promise<CommandOutcome> => {
        const owner = await ownerOf(trx, tenant, invoice)
        if (owner === null) return { kind: 'unknownInvoice' }
        // The ledger before the invoice, as everywhere: whoever holds both holds them in one order.
        await lockLedger(trx, tenant, owner)
        const found = await holdInvoice(trx, tenant, invoice)
        if (found === null) return { kind: 'unknownInvoice' }
        const planned = planCommand(found.held, command, at)
        if (planned.kind === 'repeated') {
          return {
            kind: 'done',
            invoice: await readInvoice(trx, tenant, invoice),
            payment: planned.payment,
            creditNote: null,
          }
        }
        if (planned.kind !== 'effects') return planned
        await writeEffects(trx, tenant, owner, invoice, found.held.currency, planned.effects, at)
        // Only a void changes what is invoiced; a close that is under way must see it.
        if (command.kind === 'void') await raiseLedgers(trx, tenant, [owner])
        const payment =
          command.kind === 'pay'
            ? command.payment.id
            : command.kind === 'returnPayment'
              ? command.payment
              : null
        return {
          kind: 'done',
          invoice: await readInvoice(trx, tenant, invoice),
          payment: payment === null ? null : await readPayment(trx, tenant, payment),
          creditNote: null,
        }
      }),

    credit: (tenant, customer, basedOn, issue, at) =>
      db.transaction().execute(async (trx) => {
        if ((await lockLedger(trx, tenant, customer)) !== basedOn) return { kind: 'outdated' }
        const written = await writeCreditNote(trx, tenant, customer, issue, at)
        if (written.kind !== 'written') return written
        await raiseLedgers(trx, tenant, [customer])
        const invoice = await readInvoice(trx, tenant, issue.invoice)
        return { kind: 'done', invoice, payment: null, creditNote: written.creditNote }
      }),

    async payments(tenant, invoice) {
      const rows = await db
        .selectFrom('invoice_payments')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('invoice', '=', invoice)
        .orderBy('created_at')
        .orderBy('id')
        .execute()
      return rows.map(paymentOf)
    },

    async history(tenant, invoice) {
      const rows = await db
        .selectFrom('invoice_events')
        .select(['number', 'event', 'state', 'at', 'detail'])
        .where('tenant', '=', tenant)
        .where('invoice', '=', invoice)
        .orderBy('number')
        .execute()
      return rows.map(({ number, event, state, at, detail }) => ({
        number,
        event,
        state: state as InvoiceState,
        at: instantOf(at.getTime()),
        detail: typeof detail === 'string' ? (JSON.parse(detail) as Record<string, string>) : detail,
      }))
    },

    async balance(tenant, customer) {
      const rows = await db
        .selectFrom('customer_credits')
        .select(['currency', sql<string>`sum(amount)`.as('balance')])
        .where('tenant', '=', tenant)
        .where('customer', '=', customer)
        .groupBy('currency')
        .orderBy('currency')
        .execute()
      return new Map(
        rows.map(({ currency, balance }) => [currency, amountText(decimal(balance), currency as Currency)]),
      )
    },
  }
}

async function ownerOf(db: Connection, tenant: TenantId, invoice: InvoiceId): Promise<CustomerKey | null> {
  const row = await db
    .selectFrom('invoices')
    .select('customer')
    .where('tenant', '=', tenant)
    .where('id', '=', invoice)
    .executeTakeFirst()
  return row === undefined ? null : (row.customer as CustomerKey)
}

async function readInvoice(
  db: Connection,
  tenant: TenantId,
  invoice: InvoiceId,
): Promise<ReturnType<typeof invoiceOf>> {
  const row = await db
    .selectFrom('invoices')
    .select(INVOICE_COLUMNS)
    .where('tenant', '=', tenant)
    .where('id', '=', invoice)
    .executeTakeFirstOrThrow()
  return invoiceOf(row)
}

async function readPayment(
  db: Connection,
  tenant: TenantId,
  id: string,
): Promise<ReturnType<typeof paymentOf>> {
  const row = await db
    .selectFrom('invoice_payments')
    .selectAll()
    .where('tenant', '=', tenant)
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return paymentOf(row)
}
