import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCreditNoteStore } from '../../src/database/credit-notes.ts'
import type { Database } from '../../src/database/database.ts'
import { createRatedUsageStore } from '../../src/database/invoice-export.ts'
import { createInvoiceStore } from '../../src/database/invoices.ts'
import { createReceivablesStore } from '../../src/database/payments.ts'
import { ensureTenant } from '../../src/database/tenants.ts'
import { createInvoicing } from '../../src/invoice/invoicing.ts'
import { describeInvoiceStore } from '../conformance/invoice-store.ts'
import { openTestDatabase } from '../support/database.ts'
import {
  ACME,
  aSubscription,
  DEMO_USAGE,
  fakeDeps,
  instant,
  llmApiPlan,
  TENANT,
} from '../support/invoicing.ts'

let database: Database
beforeAll(async () => {
  database = await openTestDatabase()
  await ensureTenant(database.db, TENANT, 'Test', instant('2023-01-01'))
  for (const key of ['acme', 'globex']) {
    await database.db
      .insertInto('customers')
      .values({
        tenant: TENANT,
        key,
        name: key,
        currency: 'USD',
        timezone: 'UTC',
        billing: '{}',
        test_clock: null,
        version: 1,
        created_at: new Date(),
        updated_at: new Date(),
      })
      .execute()
  }
})
afterAll(async () => database.stop())

/** Nothing of an invoice can be deleted while its triggers stand. */
async function empty(): Promise<void> {
  await sql`truncate invoices, invoice_lines, invoice_events, invoice_payments, credit_notes, customer_credits,
    invoice_counters, invoice_ledgers, bill_schedules`.execute(database.db)
}

describeInvoiceStore('invoices in PostgreSQL', async () => {
  await empty()
  return {
    store: createInvoiceStore(database),
    receivables: createReceivablesStore(database),
    creditNotes: createCreditNoteStore(database),
  }
})

describe('what PostgreSQL guards itself', () => {
  const closeNovember = async () => {
    await empty()
    const invoicing = createInvoicing(
      fakeDeps({
        subscriptions: [aSubscription(llmApiPlan(), '2023-11-01')],
        events: DEMO_USAGE,
        store: createInvoiceStore(database),
      }),
    )
    const outcome = await invoicing.close({
      tenant: TENANT,
      customer: ACME,
      periodEnd: instant('2023-12-01'),
    })
    if (outcome.kind !== 'finalized') throw new Error(outcome.kind)
    return outcome.invoice
  }

  it('I2: a finalized invoice and its lines cannot be changed or deleted', async () => {
    const invoice = await closeNovember()
    const attempts = [
      sql`update invoices set total = total + 1, subtotal = subtotal + 1`,
      sql`update invoices set document = ''`,
      sql`update invoices set number = 'INV-000002'`,
      sql`delete from invoices`,
      sql`update invoice_lines set amount = 0`,
      sql`delete from invoice_lines`,
      sql`update invoice_events set event = 'invoice.void'`,
      sql`delete from invoice_events`,
    ]
    for (const attempt of attempts) {
      await expect(attempt.execute(database.db)).rejects.toThrow(/immutable/)
    }
    expect(await createInvoiceStore(database).get(TENANT, invoice.id)).toEqual(invoice)
  })

  it('keeps the lines of an invoice as they stand in its document', async () => {
    const invoice = await closeNovember()
    const rows = await database.db
      .selectFrom('invoice_lines')
      .select(['id', 'amount', 'quantity'])
      .orderBy('position')
      .execute()
    expect(rows).toEqual(invoice.lines.map(({ id, amount, quantity }) => ({ id, amount, quantity })))
    expect(rows.map(({ amount }) => amount)).toEqual(['20.00', '38.62', '2.46', '4.50'])
  })

  it('exports the lines of a period in pages, each once, without void invoices', async () => {
    const invoice = await closeNovember()
    const store = createRatedUsageStore(database)
    const interval = { start: instant('2023-11-01'), end: instant('2023-12-01') }
    const seen: string[] = []
    let after: Parameters<typeof store.lines>[3] = null
    do {
      const page = await store.lines(TENANT, interval, 3, after)
      seen.push(...page.rows.map(({ line }) => line))
      after = page.next
    } while (after !== null)
    expect(seen).toEqual(invoice.lines.map(({ id }) => id))
    const december = { start: interval.end, end: instant('2024-01-01') }
    expect((await store.lines(TENANT, december, 3, null)).rows).toEqual([])
    expect(await store.customers(TENANT, 10, null)).toEqual([ACME])
    const command = { kind: 'void', reason: null, rebill: false } as const
    await createReceivablesStore(database).command(TENANT, invoice.id, command, interval.end)
    expect((await store.lines(TENANT, interval, 3, null)).rows).toEqual([])
  })

  it('refuses more payments and credit than there is to pay', async () => {
    await closeNovember()
    await expect(sql`update invoices set amount_paid = 65.59`.execute(database.db)).rejects.toThrow(/check/)
    await expect(sql`update invoices set credit_noted = 65.59`.execute(database.db)).rejects.toThrow(/check/)
  })
})
