import { stringify } from 'csv-stringify/sync'
import type { CreditNote, Invoice, InvoiceLine } from '../invoice.ts'

type Cell = (invoice: Invoice | CreditNote, line: InvoiceLine) => string | number | null

const number = (of: Cell): Column => ({ text: false, of })
const text = (of: Cell): Column => ({ text: true, of })
interface Column {
  /** Text that somebody typed can begin with `=`: a spreadsheet would run it. Numbers and dates stay as they are. */
  readonly text: boolean
  readonly of: Cell
}

const COLUMNS: Readonly<Record<string, Column>> = {
  invoice: text((invoice) => invoice.number),
  invoiceId: text((invoice) => invoice.id),
  state: text((invoice) => invoice.state),
  customer: text((invoice) => invoice.customer),
  currency: text((invoice) => invoice.currency),
  line: text((_, line) => line.id),
  kind: text((_, line) => line.kind),
  subscription: text((_, line) => line.subscription),
  plan: text((_, line) => line.plan),
  planVersion: number((_, line) => line.planVersion),
  price: text((_, line) => line.price),
  name: text((_, line) => line.name),
  meter: text((_, line) => line.meter),
  quantity: number((_, line) => line.quantity),
  amount: number((_, line) => line.amount),
  exactAmount: number((_, line) => line.exactAmount),
  start: number((_, line) => line.start),
  end: number((_, line) => line.end),
  explanation: text((_, line) => line.explanation),
}

/** The lines as RFC 4180: a header, then a row a line. Amounts are before tax. */
export function invoiceCsv(invoice: Invoice | CreditNote): string {
  const rows = invoice.lines.map((line) =>
    Object.values(COLUMNS).map((column) => {
      const value = column.of(invoice, line)
      return column.text && typeof value === 'string' ? inert(value) : value
    }),
  )
  return stringify([Object.keys(COLUMNS), ...rows], { record_delimiter: '\r\n' })
}

/** Text that no spreadsheet takes for a formula (OWASP, CSV injection). */
export function inert(value: string): string {
  return /^[=+\-@\t\r\n＝＋－＠]/.test(value) ? `'${value}` : value
}
