import { type Instant, parseInstant } from '../../time/instant.ts'
import { localDayText } from '../../time/local-day.ts'
import type { Party } from '../billable.ts'
import { decimal, isZero, subtract, toFixedText } from '../../money/decimal.ts'
import type { CreditNote, Invoice, InvoiceLine } from '../invoice.ts'
import type { InvoiceState } from '../lifecycle.ts'

export interface LineView {
  readonly name: string
  /** What the line is beside its name: a correction of an earlier invoice, or nothing. */
  readonly note: string | null
  readonly period: string
  readonly quantity: string
  readonly amount: string
  /** The formula, a step each; empty where the amount says it all. */
  readonly steps: readonly string[]
}

/** An invoice as people read it: every text finished, so that HTML and PDF say the same. */
export interface InvoiceView {
  readonly title: string
  readonly number: string
  /** `Draft`, `Paid`, `Void`, …; null for an invoice that is simply open. */
  readonly stamp: string | null
  readonly seller: readonly string[]
  readonly billTo: readonly string[]
  readonly facts: readonly (readonly [label: string, value: string])[]
  readonly lines: readonly LineView[]
  readonly totals: readonly (readonly [label: string, amount: string])[]
  readonly total: readonly [label: string, amount: string]
  /** What was paid and is still due; empty where nothing was paid. */
  readonly settled: readonly (readonly [label: string, amount: string])[]
  /** What the law wants said about the tax. */
  readonly notes: readonly string[]
  readonly payment: readonly string[]
  /** Proof of origin: hash and cut. */
  readonly proof: readonly string[]
}

export function invoiceView(document: Invoice | CreditNote): InvoiceView {
  const { timezone, currency } = document
  const isNote = 'correctsInvoice' in document
  const number = document.number ?? 'Draft'
  const optional = (label: string, value: string | null): [string, string][] =>
    value === null ? [] : [[label, value]]
  const inclusive = document.taxBehavior === 'inclusive'
  return {
    title: isNote ? 'Credit note' : 'Invoice',
    number,
    stamp: isNote ? null : stampOf(document.state),
    seller: partyLines(document.seller),
    billTo: partyLines(document.billTo),
    facts: [
      [isNote ? 'Credit note number' : 'Invoice number', number],
      ...(isNote ? [['Corrects invoice', document.corrects] as const] : []),
      ...optional('Date of issue', dayOrNull(document.issuedAt, timezone)),
      ...(isNote ? [] : optional('Due', lastDayOrNull(document.dueAt, timezone))),
      ['Billing period', periodText(document.periodStart, document.periodEnd, timezone)],
      ['Customer', document.customer],
      ...optional('Purchase order', document.purchaseOrder),
      ...(isNote ? [['Reason', document.reason] as const] : []),
    ],
    lines: document.lines.map((line) => lineView(line, timezone)),
    totals: [
      [inclusive ? 'Net amount' : 'Subtotal', grouped(document.subtotal)],
      ...document.taxes.map((tax): [string, string] => [
        `${tax.name} ${percentText(tax.rate)} on ${grouped(tax.base)}`,
        grouped(tax.amount),
      ]),
    ],
    total: [`Total ${currency}`, grouped(document.total)],
    settled: isNote ? [] : settledRows(document),
    notes: document.taxNotes,
    payment: isNote || document.number === null ? [] : document.paymentLines,
    proof: [
      `SHA-256 ${document.hash}`,
      `Usage up to log position ${document.cut.map((end) => `${end.partition}:${end.offset}`).join(' ')}; days in ${timezone}.`,
    ],
  }
}

function settledRows({ total, amountPaid, amountCredited, state }: Invoice): readonly [string, string][] {
  const paid = decimal(amountPaid)
  const credited = decimal(amountCredited)
  if (isZero(paid) && isZero(credited)) return []
  const due = subtract(subtract(decimal(total), paid), credited)
  return [
    ...(isZero(paid) ? [] : ([['Paid', grouped(amountPaid)]] as [string, string][])),
    ...(isZero(credited) ? [] : ([['Credited', grouped(amountCredited)]] as [string, string][])),
    ...(state === 'finalized' ? ([['Amount due', grouped(toFixedText(due))]] as [string, string][]) : []),
  ]
}

/** Digits before the point in groups of three: `18,059,974.5`. */
function grouped(decimalText: string): string {
  const [whole = '', fraction] = decimalText.split('.')
  const spaced = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',')
  return fraction === undefined ? spaced : `${spaced}.${fraction}`
}

/** From the first to the last day, both included, as people count: `1 Nov 2023 – 30 Nov 2023`. */
function periodText(start: string, end: string, timezone: string): string {
  const first = instantIn(start)
  const last = instantIn(end)
  const from = dayText(first, timezone)
  if (last <= first) return from
  const to = dayText((last - 1) as Instant, timezone)
  return from === to ? from : `${from} – ${to}`
}

function lineView(line: InvoiceLine, timezone: string): LineView {
  const fee = line.meter === null
  return {
    name: line.name,
    note: noteOf(line),
    period: periodText(line.start, line.end, timezone),
    quantity: fee ? '' : grouped(line.quantity),
    amount: grouped(line.amount),
    steps: formulaSteps(line),
  }
}

/** The explanation by its steps, without what the columns say already: the total, and a fee that is the amount. */
function formulaSteps(line: InvoiceLine): readonly string[] {
  const steps = line.explanation.split('; ').filter((step) => !step.startsWith('total '))
  const plainFee = line.kind === 'recurring' && steps.length === 1
  return plainFee ? [] : steps.map(groupedWithin)
}

function noteOf(line: InvoiceLine): string | null {
  switch (line.kind) {
    case 'recurring':
    case 'usage':
      return null
    case 'lateUsage':
      return `late usage, first billed on ${line.corrects.join(', ')}`
    case 'adjustment':
      return `correction of ${line.corrects.join(', ')}`
    case 'credit':
      return 'credited'
  }
}

function stampOf(state: InvoiceState): string | null {
  switch (state) {
    case 'finalized':
      return null
    case 'paid':
      return 'Paid'
    case 'void':
      return 'Void'
    case 'uncollectible':
      return 'Written off'
    case 'gathering':
    case 'draft':
    case 'taxPending':
    case 'invalid':
    case 'deleted':
      return 'Draft'
  }
}

function partyLines({ name, addressLines, taxId, email }: Party): readonly string[] {
  const lines = [name, ...addressLines, taxId === null ? '' : `Tax id ${taxId}`, email ?? '']
  return lines.filter((line) => line !== '')
}

/** Groups the whole numbers of four and more digits in a text; fractions stay as they are. */
function groupedWithin(text: string): string {
  return text.replace(/(?<![\w.-])\d{4,}(?![\w-])/g, (digits) => grouped(digits))
}

function percentText(share: string): string {
  const [whole = '0', fraction = ''] = share.split('.')
  const digits = `${whole}${fraction.padEnd(2, '0')}`
  const point = whole.length + 2
  const percent = digits.slice(0, point).replace(/^0+(?=\d)/, '')
  const rest = digits.slice(point).replace(/0+$/, '')
  return rest === '' ? `${percent} %` : `${percent}.${rest} %`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

function dayText(at: Instant, timezone: string): string {
  const [year = '', month = '', day = ''] = localDayText(at, timezone).split('-')
  return `${Number(day)} ${MONTHS[Number(month) - 1] ?? month} ${year}`
}

function dayOrNull(at: string | null, timezone: string): string | null {
  return at === null ? null : dayText(instantIn(at), timezone)
}

/** The day that ends at `end`. */
function lastDayOrNull(end: string | null, timezone: string): string | null {
  return end === null ? null : dayText((instantIn(end) - 1) as Instant, timezone)
}

function instantIn(text: string): Instant {
  const parsed = parseInstant(text)
  if (parsed === null) throw new RangeError(`not an instant: ${text}`)
  return parsed
}
