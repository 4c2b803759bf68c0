import type { Generated } from 'kysely'

interface InvoiceCountersTable {
  tenant: string
  legal_entity: string
  document: string
  prefix: string
  next_number: number
  last_hash: string | null
}

interface InvoiceLedgersTable {
  tenant: string
  customer: string
  version: number
}

interface InvoicesTable {
  tenant: string
  id: string
  legal_entity: string
  sequence: number
  number: string
  customer: string
  state: string
  currency: string
  period_start: Date
  period_end: Date
  issued_at: Date
  due_at: Date
  /** Amounts are exact decimal text. */
  subtotal: string
  tax: string
  total: string
  amount_paid: string
  amount_credited: string
  credit_noted: string
  rebill: Generated<boolean>
  hash: string
  document: string
  basis: string
  created_at: Generated<Date>
}

interface InvoiceLinesTable {
  tenant: string
  invoice: string
  position: number
  id: string
  kind: string
  charge: string
  revision: number
  subscription: string
  plan: string
  plan_version: number
  price: string
  name: string
  meter: string | null
  meter_revision: number | null
  /** Exact decimal text. */
  quantity: string
  amount: string
  exact_amount: string
  starts_at: Date
  ends_at: Date
}

interface CreditNotesTable {
  tenant: string
  id: string
  legal_entity: string
  sequence: number
  number: string
  customer: string
  invoice: string
  closes_at: Date | null
  currency: string
  issued_at: Date
  /** Exact decimal text. */
  total: string
  applied: string
  hash: string
  document: string
  created_at: Generated<Date>
}

interface InvoicePaymentsTable {
  tenant: string
  id: string
  invoice: string
  kind: string
  /** Exact decimal text. */
  amount: string
  applied: string
  currency: string
  received_at: Date
  method: string | null
  reference: string | null
  note: string | null
  idempotency_key: string | null
  returned_at: Date | null
  return_reason: string | null
  created_at: Generated<Date>
}

interface InvoiceEventsTable {
  sequence: Generated<number>
  tenant: string
  invoice: string
  number: number
  event: string
  state: string
  at: Date
  /** Written as JSON text, read parsed. */
  detail: string | Readonly<Record<string, string>>
  created_at: Generated<Date>
}

interface CustomerCreditsTable {
  sequence: Generated<number>
  tenant: string
  customer: string
  currency: string
  /** Exact decimal text. */
  amount: string
  reason: string
  invoice: string
  at: Date
}

interface BillSchedulesTable {
  tenant: string
  customer: string
  next_close: Date | null
  is_stale: Generated<boolean>
  passed: Generated<readonly Date[]>
  revision: Generated<number>
  held_kind: string | null
  held_detail: string | null
  held_since: Date | null
  retry_at: Date | null
}

/** The tables of 0003_invoices.sql, as rows look in this program. */
export interface InvoiceTables {
  invoice_counters: InvoiceCountersTable
  invoice_ledgers: InvoiceLedgersTable
  invoices: InvoicesTable
  invoice_lines: InvoiceLinesTable
  credit_notes: CreditNotesTable
  invoice_payments: InvoicePaymentsTable
  invoice_events: InvoiceEventsTable
  customer_credits: CustomerCreditsTable
  bill_schedules: BillSchedulesTable
}
