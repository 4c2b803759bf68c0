import PDFDocument from 'pdfkit'
import type { CreditNote, Invoice } from '../invoice.ts'
import { parseInstant } from '../../time/instant.ts'
import { type InvoiceView, invoiceView, type LineView } from './view.ts'

type Pdf = InstanceType<typeof PDFDocument>

/** Points; 72 are an inch. */
const PAGE = { width: 595.28, height: 841.89, margin: 56, footer: 70 } as const
const RIGHT = PAGE.width - PAGE.margin
const BOTTOM = PAGE.height - PAGE.footer - 12
const COLUMNS = {
  item: { x: PAGE.margin, width: 185 },
  period: { x: 247, width: 138 },
  quantity: { x: 385, width: 76 },
  amount: { x: 465, width: RIGHT - 465 },
} as const
const STEP_TEXT = { x: PAGE.margin + 10, width: 380 } as const
const INK = '#1a2233'
const SOFT = '#5b6577'
const RULE = '#d9dee7'
const REGULAR = 'Helvetica'
const BOLD = 'Helvetica-Bold'

/** The invoice as A4 pages. The same invoice gives the same bytes: its dates are the invoice's own. */
export function invoicePdf(invoice: Invoice | CreditNote): Promise<Uint8Array> {
  const view = invoiceView(invoice)
  const madeAt = new Date(parseInstant(invoice.issuedAt ?? invoice.periodEnd) ?? 0)
  const pdf = new PDFDocument({
    size: 'A4',
    margins: { top: PAGE.margin, bottom: 0, left: PAGE.margin, right: PAGE.margin },
    bufferPages: true,
    lang: 'en',
    displayTitle: true,
    info: {
      Title: `${view.title} ${view.number}`,
      Author: printable(invoice.seller.name),
      Creator: 'Tallyman',
      Producer: 'Tallyman',
      CreationDate: madeAt,
      ModDate: madeAt,
    },
  })
  const bytes = collect(pdf)
  drawHead(pdf, view)
  drawTable(pdf, view)
  drawPayment(pdf, view)
  drawFooters(pdf, view)
  pdf.end()
  return bytes
}

function drawHead(pdf: Pdf, view: InvoiceView): void {
  const top = PAGE.margin
  pdf.font(BOLD).fontSize(24).fillColor(INK).text(view.title, PAGE.margin, top)
  if (view.stamp !== null) {
    pdf
      .font(REGULAR)
      .fontSize(11)
      .fillColor(SOFT)
      .text(view.stamp, PAGE.margin, top + 30)
  }
  const [name = '', ...address] = view.seller
  write(pdf, BOLD, 9.5, INK, name, 300, top + 4, RIGHT - 300, 'right')
  for (const line of address) write(pdf, REGULAR, 9, SOFT, line, 300, pdf.y, RIGHT - 300, 'right')
  const below = Math.max(pdf.y, top + 60) + 34

  write(pdf, BOLD, 8.5, SOFT, 'Bill to', PAGE.margin, below, 230)
  view.billTo.forEach((line, i) => {
    write(pdf, i === 0 ? BOLD : REGULAR, 10, INK, line, PAGE.margin, pdf.y + (i === 0 ? 3 : 1), 230)
  })
  const leftEnd = pdf.y
  let y = below
  for (const [label, value] of view.facts) {
    write(pdf, REGULAR, 9, SOFT, label, 315, y, 90)
    const labelEnd = pdf.y
    write(pdf, REGULAR, 9, INK, value, 400, y, RIGHT - 400, 'right')
    y = Math.max(labelEnd, pdf.y) + 3
  }
  pdf.y = Math.max(leftEnd, y) + 32
}

function drawTable(pdf: Pdf, view: InvoiceView): void {
  drawTableHead(pdf)
  for (const line of view.lines) drawLine(pdf, line)
  const rows = view.totals.length + view.settled.length + view.notes.length
  breakBefore(pdf, rows * 17 + 48, false)
  pdf.y += 8
  for (const [label, amount] of view.totals) drawTotal(pdf, label, amount, REGULAR, 10, 17)
  rule(pdf, pdf.y + 2, INK, 1, COLUMNS.period.x)
  pdf.y += 10
  drawTotal(pdf, view.total[0], view.total[1], BOLD, 13, 22)
  for (const [label, amount] of view.settled) drawTotal(pdf, label, amount, REGULAR, 10, 17)
  for (const note of view.notes) write(pdf, REGULAR, 9, INK, note, PAGE.margin, pdf.y + 6, 400)
}

function drawTableHead(pdf: Pdf): void {
  const { y } = pdf
  const { item, period, quantity, amount } = COLUMNS
  write(pdf, BOLD, 8.5, SOFT, 'Item', item.x, y, item.width)
  write(pdf, BOLD, 8.5, SOFT, 'Period', period.x, y, period.width)
  write(pdf, BOLD, 8.5, SOFT, 'Quantity', quantity.x, y, quantity.width, 'right')
  write(pdf, BOLD, 8.5, SOFT, 'Amount', amount.x, y, amount.width, 'right')
  rule(pdf, y + 15, INK, 1)
  pdf.y = y + 23
}

function drawLine(pdf: Pdf, line: LineView): void {
  const { item, period, quantity, amount } = COLUMNS
  breakBefore(pdf, heightOf(pdf, line), true)
  const { y } = pdf
  write(pdf, BOLD, 9.5, INK, line.name, item.x, y, item.width)
  if (line.note !== null) write(pdf, REGULAR, 8, SOFT, line.note, item.x, pdf.y, item.width)
  const nameEnd = pdf.y
  write(pdf, REGULAR, 9, INK, line.period, period.x, y, period.width)
  const end = Math.max(nameEnd, pdf.y)
  write(pdf, REGULAR, 9.5, INK, line.quantity, quantity.x - 20, y, quantity.width + 20, 'right')
  write(pdf, REGULAR, 9.5, INK, line.amount, amount.x, y, amount.width, 'right')
  pdf.y = end + 3
  for (const step of line.steps) {
    // A formula of many tiers may be longer than a page.
    breakBefore(pdf, stepHeight(pdf, step), true)
    write(pdf, REGULAR, 8, SOFT, step, STEP_TEXT.x, pdf.y, STEP_TEXT.width)
    pdf.y += 2
  }
  rule(pdf, pdf.y + 4, RULE, 0.7)
  pdf.y += 12
}

/** Height of a line with its formula, as far as one page could hold it. */
function heightOf(pdf: Pdf, line: LineView): number {
  pdf.font(BOLD).fontSize(9.5)
  const name = pdf.heightOfString(printable(line.name), { width: COLUMNS.item.width })
  const steps = line.steps.reduce((sum, step) => sum + stepHeight(pdf, step), 0)
  return Math.min(name + (line.note === null ? 0 : 10) + steps + 18, 300)
}

function stepHeight(pdf: Pdf, text: string): number {
  pdf.font(REGULAR).fontSize(8)
  return pdf.heightOfString(printable(text), { width: STEP_TEXT.width }) + 2
}

function drawTotal(pdf: Pdf, label: string, amount: string, font: string, size: number, step: number): void {
  const { y } = pdf
  write(
    pdf,
    font,
    size,
    font === BOLD ? INK : SOFT,
    label,
    COLUMNS.period.x,
    y,
    COLUMNS.quantity.x - COLUMNS.period.x + 70,
  )
  write(pdf, font, size, INK, amount, COLUMNS.amount.x - 30, y, COLUMNS.amount.width + 30, 'right')
  pdf.y = y + step
}

function drawPayment(pdf: Pdf, view: InvoiceView): void {
  if (view.payment.length === 0) return
  breakBefore(pdf, 40 + view.payment.length * 12, false)
  pdf.y += 26
  write(pdf, BOLD, 8.5, SOFT, 'Payment', PAGE.margin, pdf.y, 300)
  for (const line of view.payment) write(pdf, REGULAR, 9, INK, line, PAGE.margin, pdf.y + 2, 400)
}

function drawFooters(pdf: Pdf, view: InvoiceView): void {
  const { start, count } = pdf.bufferedPageRange()
  for (let page = start; page < start + count; page++) {
    pdf.switchToPage(page)
    const y = PAGE.height - PAGE.footer
    rule(pdf, y, RULE, 0.7)
    view.proof.forEach((line, i) => write(pdf, REGULAR, 6.5, SOFT, line, PAGE.margin, y + 8 + i * 9, 390))
    const place = `${view.number}   ${page - start + 1} / ${count}`
    write(pdf, REGULAR, 8, SOFT, place, 400, y + 8, RIGHT - 400, 'right')
  }
}

/** Goes to a new page when less than `height` is left on this one. */
function breakBefore(pdf: Pdf, height: number, withTableHead: boolean): void {
  if (pdf.y + height <= BOTTOM) return
  pdf.addPage()
  pdf.y = PAGE.margin
  if (withTableHead) drawTableHead(pdf)
}

function write(
  pdf: Pdf,
  font: string,
  size: number,
  color: string,
  text: string,
  x: number,
  y: number,
  width: number,
  align: 'left' | 'right' = 'left',
): void {
  pdf.font(font).fontSize(size).fillColor(color).text(printable(text), x, y, { width, align, lineGap: 1 })
}

function rule(pdf: Pdf, y: number, color: string, width: number, from: number = PAGE.margin): void {
  pdf.moveTo(from, y).lineTo(RIGHT, y).lineWidth(width).strokeColor(color).stroke()
}

/** The standard fonts know Latin 1 and some marks; anything else would come out as another character. */
function printable(text: string): string {
  return text.normalize('NFC').replace(/[^\u0020-\u007e\u00a0-\u00ff–—‘’“”•…€]/gu, '?')
}

function collect(pdf: Pdf): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    pdf.on('data', (chunk: Uint8Array) => chunks.push(chunk))
    pdf.on('end', () => resolve(Buffer.concat(chunks)))
    pdf.on('error', reject)
  })
}
