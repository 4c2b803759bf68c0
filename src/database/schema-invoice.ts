import type { Generated } from 'kysely'

interface InvoiceCountersTable {
  tenant: string
  legal_entity: string
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
  /** Exact decimal text. */
  subtotal: string
  tax: string
  total: string
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

/** The tables of 0003_invoices.sql, as rows look in this program. */
export interface InvoiceTables {
  invoice_counters: InvoiceCountersTable
  invoice_ledgers: InvoiceLedgersTable
  invoices: InvoicesTable
  invoice_lines: InvoiceLinesTable
}
