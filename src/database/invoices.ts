import { sql, type Transaction } from 'kysely'
import type { CustomerKey, InvoiceId, TenantId } from '../id/ids.ts'
import type { CreditNote, CreditNoteDocument, CreditNoteId, Invoice } from '../invoice/invoice.ts'
import type { InvoiceState } from '../invoice/lifecycle.ts'
import type {
  CustomerLedger,
  Finalization,
  FinalizeOutcome,
  InvoiceArchive,
  InvoiceStore,
} from '../invoice/ports.ts'
import { instantOf } from '../time/instant.ts'
import type { Database } from './database.ts'
import { creditNoteOf, INVOICE_COLUMNS, invoiceDocumentOf, invoiceOf } from './invoice-rows.ts'
import {
  type InvoiceFinalization,
  lockLedgers,
  raiseLedgers,
  writeCreditNote,
  writeInvoices,
} from './invoice-writes.ts'
import type { Schema } from './schema.ts'

/** Invoices in PostgreSQL. A number is given and its invoice written in one transaction, or neither happens. */
export function createInvoiceStore({ db }: Pick<Database, 'db'>): InvoiceStore & InvoiceArchive {
  const finalizeMany: InvoiceStore['finalizeMany'] = (finalizations) =>
    db.transaction().execute(async (trx) => {
      const outcomes = new Map<Finalization, FinalizeOutcome>()
      const byTenant = [...Map.groupBy(finalizations, ({ tenant }) => tenant)]
      for (const [tenant, group] of byTenant.sort(([a], [b]) => (a < b ? -1 : 1))) {
        for (const [one, outcome] of await finalizeGroup(trx, tenant, group)) outcomes.set(one, outcome)
      }
      return finalizations.map((one): FinalizeOutcome => outcomes.get(one) ?? { kind: 'outdated' })
    })

  return {
    ledger: (tenant, customer) =>
      // One snapshot, so that the version and the invoices belong together.
      db
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute(async (trx) => ledgerIn(await readLedgers(trx, tenant, [customer]), customer)),

    ledgers: (tenant, customers) =>
      db
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute((trx) => readLedgers(trx, tenant, customers)),

    finalizeMany,
    async finalize(finalization) {
      const [outcome] = await finalizeMany([finalization])
      if (outcome === undefined) throw new Error('a finalization came to no outcome')
      return outcome
    },

    async get(tenant, id) {
      const row = await db
        .selectFrom('invoices')
        .select(INVOICE_COLUMNS)
        .where('tenant', '=', tenant)
        .where('id', '=', id)
        .executeTakeFirst()
      return row === undefined ? null : invoiceOf(row)
    },

    async creditNote(tenant, id) {
      const row = await db
        .selectFrom('credit_notes')
        .select(['document', 'hash', 'total', 'applied'])
        .where('tenant', '=', tenant)
        .where('id', '=', id)
        .executeTakeFirst()
      return row === undefined ? null : creditNoteOf(row)
    },

    async list(tenant, { customer, state, limit, after }) {
      let query = db
        .selectFrom('invoices')
        .select(['id', 'issued_at', ...INVOICE_COLUMNS])
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
          ? { issuedAt: instantOf(last.issued_at.getTime()), id: last.id }
          : null
      return { data: page.map(invoiceOf), next }
    },

    async record(tenant, id) {
      const row = await db
        .selectFrom('invoices as i')
        .leftJoin('invoices as before', (join) =>
          join
            .onRef('before.tenant', '=', 'i.tenant')
            .onRef('before.legal_entity', '=', 'i.legal_entity')
            .on('before.sequence', '=', sql<number>`i.sequence - 1`),
        )
        .select(['i.customer', 'i.document', 'i.hash', 'i.basis', 'before.hash as hash_before'])
        .where('i.tenant', '=', tenant)
        .where('i.id', '=', id)
        .executeTakeFirst()
      if (row === undefined) return null
      const { customer, document, hash, basis, hash_before } = row
      return {
        tenant,
        customer: customer as CustomerKey,
        text: document,
        hash,
        basis,
        hashBefore: hash_before,
      }
    },
  }
}

/** The outcomes of those that were not outdated. At most one of a customer: the next is computed from what it leaves. */
async function finalizeGroup(
  trx: Transaction<Schema>,
  tenant: TenantId,
  group: readonly Finalization[],
): Promise<ReadonlyMap<Finalization, FinalizeOutcome>> {
  const versions = await lockLedgers(
    trx,
    tenant,
    group.map(({ customer }) => customer),
  )
  const current = group.filter(({ customer, basedOn }) => {
    const isCurrent = versions.get(customer) === basedOn
    if (isCurrent) versions.delete(customer)
    return isCurrent
  })
  const withInvoice = current.filter((one): one is InvoiceFinalization => one.invoice !== null)
  const written = await writeInvoices(trx, tenant, withInvoice)
  const invoices = new Map<Finalization, Invoice>(
    withInvoice.flatMap((one, i) => {
      const invoice = written[i]
      return invoice === undefined ? [] : [[one, invoice]]
    }),
  )
  const outcomes = new Map<Finalization, FinalizeOutcome>()
  for (const one of current) {
    const creditNotes: CreditNote[] = []
    for (const issue of one.creditNotes) {
      const note = await writeCreditNote(trx, tenant, one.customer, issue, one.issuedAt)
      if (note.kind !== 'written') {
        throw new Error(`the invoice ${issue.invoice} cannot be credited although its ledger did not change`)
      }
      creditNotes.push(note.creditNote)
    }
    const invoice = invoices.get(one)
    const [first, ...rest] = creditNotes
    if (invoice !== undefined) outcomes.set(one, { kind: 'finalized', invoice, creditNotes })
    else if (first !== undefined) outcomes.set(one, { kind: 'credited', creditNotes: [first, ...rest] })
    else throw new Error('a finalization of nothing')
  }
  await raiseLedgers(
    trx,
    tenant,
    current.map(({ customer }) => customer),
  )
  return outcomes
}

function ledgerIn(ledgers: ReadonlyMap<CustomerKey, CustomerLedger>, customer: CustomerKey): CustomerLedger {
  const ledger = ledgers.get(customer)
  if (ledger === undefined) throw new Error(`the ledger of ${customer} was not read`)
  return ledger
}

async function readLedgers(
  trx: Transaction<Schema>,
  tenant: TenantId,
  customers: readonly CustomerKey[],
): Promise<ReadonlyMap<CustomerKey, CustomerLedger>> {
  if (customers.length === 0) return new Map()
  const versions = await trx
    .selectFrom('invoice_ledgers')
    .select(['customer', 'version'])
    .where('tenant', '=', tenant)
    .where('customer', 'in', customers)
    .execute()
  const rows = await trx
    .selectFrom('invoices')
    .select(['id', 'customer', 'number', 'state', 'period_end', 'issued_at', 'document', 'rebill'])
    .where('tenant', '=', tenant)
    .where('customer', 'in', customers)
    .orderBy('sequence')
    .execute()
  const notes = await trx
    .selectFrom('credit_notes')
    .select(['id', 'customer', 'number', 'invoice', 'closes_at', 'document'])
    .where('tenant', '=', tenant)
    .where('customer', 'in', customers)
    .orderBy('sequence')
    .execute()
  const versionOf = new Map(versions.map(({ customer, version }) => [customer, version]))
  const invoicesOf = Map.groupBy(rows, ({ customer }) => customer)
  const notesOf = Map.groupBy(notes, ({ customer }) => customer)
  return new Map(
    customers.map((customer) => [
      customer,
      ledgerOf(versionOf.get(customer) ?? 0, invoicesOf.get(customer) ?? [], notesOf.get(customer) ?? []),
    ]),
  )
}

interface LedgerInvoiceRow {
  readonly id: string
  readonly number: string
  readonly state: string
  readonly period_end: Date
  readonly issued_at: Date
  readonly document: string
  readonly rebill: boolean
}

interface LedgerNoteRow {
  readonly id: string
  readonly number: string
  readonly invoice: string
  readonly closes_at: Date | null
  readonly document: string
}

function ledgerOf(
  version: number,
  rows: readonly LedgerInvoiceRow[],
  notes: readonly LedgerNoteRow[],
): CustomerLedger {
  const invoices = rows.map((row) => ({ row, document: invoiceDocumentOf(row.document) }))
  return {
    version,
    invoices: invoices.map(({ row, document }) => ({
      id: row.id as InvoiceId,
      number: row.number,
      state: row.state as InvoiceState,
      periodEnd: instantOf(row.period_end.getTime()),
      issuedAt: instantOf(row.issued_at.getTime()),
      taxBehavior: document.taxBehavior,
      taxRounding: document.taxRounding,
      total: document.total,
      rebill: row.rebill,
    })),
    lines: invoices
      .filter(({ row }) => row.state !== 'void')
      .flatMap(({ row, document }) =>
        document.lines.map((line) => ({ invoice: row.id as InvoiceId, number: row.number, line })),
      ),
    voided: new Set(
      invoices
        .filter(({ row }) => row.state === 'void')
        .flatMap(({ document }) => document.lines.map(({ key }) => key)),
    ),
    creditNotes: notes.map((row) => {
      const { total, lines } = JSON.parse(row.document) as CreditNoteDocument
      return {
        id: row.id as CreditNoteId,
        number: row.number,
        correctsInvoice: row.invoice as InvoiceId,
        closesAt: row.closes_at === null ? null : instantOf(row.closes_at.getTime()),
        total,
        lines,
      }
    }),
  }
}
