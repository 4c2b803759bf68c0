import { sql, type Transaction } from 'kysely'
import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import type { Invoice, InvoiceDocument } from '../invoice/invoice.ts'
import type { InvoiceState } from '../invoice/lifecycle.ts'
import type { Finalization, InvoiceStore } from '../invoice/ports.ts'
import { instantOf } from '../time/instant.ts'
import type { Database } from './database.ts'
import type { Schema } from './schema.ts'

/** A tenant that names no legal entities has this one. */
const DEFAULT_ENTITY = 'default'
const DEFAULT_PREFIX = 'INV-'
/** Shorter numbers are padded, so that they sort. */
const numberDigitsMin = 6

/** Invoices in PostgreSQL. A number is given and its invoice written in one transaction, or neither happens. */
export function createInvoiceStore({ db }: Pick<Database, 'db'>): InvoiceStore {
  return {
    ledger: (tenant, customer) =>
      // One snapshot, so that the version and the invoices belong together.
      db
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute(async (trx) => {
          const held = await trx
            .selectFrom('invoice_ledgers')
            .select('version')
            .where('tenant', '=', tenant)
            .where('customer', '=', customer)
            .executeTakeFirst()
          const rows = await trx
            .selectFrom('invoices')
            .select(['id', 'number', 'state', 'period_end', 'issued_at', 'document'])
            .where('tenant', '=', tenant)
            .where('customer', '=', customer)
            .orderBy('sequence')
            .execute()
          return {
            version: held?.version ?? 0,
            invoices: rows.map((row) => ({
              id: row.id as InvoiceId,
              number: row.number,
              state: row.state as InvoiceState,
              periodEnd: instantOf(row.period_end.getTime()),
              issuedAt: instantOf(row.issued_at.getTime()),
            })),
            lines: rows
              .filter((row) => row.state !== 'void')
              .flatMap((row) => documentOf(row.document).lines.map((line) => ({ number: row.number, line }))),
          }
        }),

    finalize: (finalization) =>
      db.transaction().execute(async (trx) => {
        const current = await lockLedger(trx, finalization.tenant, finalization.customer)
        if (current !== finalization.basedOn) return { kind: 'outdated' }
        const invoice = await writeInvoice(trx, finalization)
        await trx
          .updateTable('invoice_ledgers')
          .set({ version: current + 1 })
          .where('tenant', '=', finalization.tenant)
          .where('customer', '=', finalization.customer)
          .executeTakeFirstOrThrow()
        return { kind: 'finalized', invoice }
      }),

    async get(tenant, id) {
      const row = await db
        .selectFrom('invoices')
        .select(['document', 'state', 'hash'])
        .where('tenant', '=', tenant)
        .where('id', '=', id)
        .executeTakeFirst()
      return row === undefined ? null : invoiceOf(row)
    },

    async list(tenant, { customer, state, limit, after }) {
      let query = db
        .selectFrom('invoices')
        .select(['id', 'issued_at', 'document', 'state', 'hash'])
        .where('tenant', '=', tenant)
      if (customer !== null) query = query.where('customer', '=', customer)
      if (state !== null) query = query.where('state', '=', state)
      if (after !== null) {
        query = query.where(sql<boolean>`(issued_at, id) < (${new Date(after.issuedAt)}, ${after.id})`)
      }
      const rows = await query
        .orderBy('issued_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1)
        .execute()
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      const next =
        rows.length > limit && last !== undefined
          ? { issuedAt: instantOf(last.issued_at.getTime()), id: last.id as InvoiceId }
          : null
      return { data: page.map(invoiceOf), next }
    },
  }
}

/** The version of the customer's ledger, locked: whoever else wants to finalize for this customer waits. */
async function lockLedger(
  trx: Transaction<Schema>,
  tenant: TenantId,
  customer: CustomerKey,
): Promise<number> {
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

async function writeInvoice(
  trx: Transaction<Schema>,
  { tenant, customer, periodEnd, basis, seal }: Finalization,
): Promise<Invoice> {
  const counter = await takeNumber(trx, tenant)
  const number = `${counter.prefix}${String(counter.sequence).padStart(numberDigitsMin, '0')}`
  const { document, text, hash } = seal(number, counter.lastHash)
  await trx
    .insertInto('invoices')
    .values({
      tenant,
      id: document.id,
      legal_entity: DEFAULT_ENTITY,
      sequence: counter.sequence,
      number,
      customer,
      state: 'finalized',
      currency: document.currency,
      period_start: new Date(document.periodStart),
      period_end: new Date(periodEnd),
      issued_at: new Date(required(document.issuedAt)),
      due_at: new Date(required(document.dueAt)),
      subtotal: document.subtotal,
      tax: document.tax,
      total: document.total,
      hash,
      document: text,
      basis,
    })
    .execute()
  await writeLines(trx, tenant, document)
  await trx
    .updateTable('invoice_counters')
    .set({ last_hash: hash })
    .where('tenant', '=', tenant)
    .where('legal_entity', '=', DEFAULT_ENTITY)
    .executeTakeFirstOrThrow()
  return { ...document, state: 'finalized', hash }
}

/** Takes the next number. The row stays locked to the end of the transaction; a rollback gives the number back. */
async function takeNumber(
  trx: Transaction<Schema>,
  tenant: TenantId,
): Promise<{ readonly prefix: string; readonly sequence: number; readonly lastHash: string | null }> {
  await trx
    .insertInto('invoice_counters')
    .values({
      tenant,
      legal_entity: DEFAULT_ENTITY,
      prefix: DEFAULT_PREFIX,
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
    .returning(['prefix', 'next_number', 'last_hash'])
    .executeTakeFirstOrThrow()
  return { prefix: row.prefix, sequence: row.next_number - 1, lastHash: row.last_hash }
}

/** Bound parameters of one statement stay below PostgreSQL's 65,535. */
const linesOfInsertMax = 1000

async function writeLines(
  trx: Transaction<Schema>,
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

function invoiceOf(row: {
  readonly document: string
  readonly state: string
  readonly hash: string
}): Invoice {
  return { ...documentOf(row.document), state: row.state as InvoiceState, hash: row.hash }
}

function documentOf(text: string): InvoiceDocument {
  return JSON.parse(text) as InvoiceDocument
}

function required(text: string | null): string {
  if (text === null) throw new Error('a sealed invoice has a date of issue and a due date')
  return text
}
