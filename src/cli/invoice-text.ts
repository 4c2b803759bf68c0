import { z } from 'zod'
import { grouped, printable, renderTable } from './output.ts'

/** What the commands read of an invoice; everything else the server says is passed on untouched. */
export const invoiceShape = z.looseObject({
  id: z.string(),
  number: z.string().nullish(),
  state: z.string(),
  customer: z.string(),
  currency: z.string(),
  periodStart: z.string(),
  periodEnd: z.string(),
  lines: z.array(
    z.looseObject({
      id: z.string(),
      kind: z.string(),
      price: z.string().nullish(),
      name: z.string().nullish(),
      meter: z.string().nullish(),
      quantity: z.string().nullish(),
      amount: z.string(),
      explanation: z.unknown(),
    }),
  ),
  subtotal: z.string(),
  tax: z.string(),
  total: z.string(),
})
export type InvoiceView = z.infer<typeof invoiceShape>

/** The formula of a line, as the server explains it: text, or an object that has it as text or steps. */
export function explanationText(explanation: unknown): string[] {
  if (typeof explanation === 'string') return explanation === '' ? [] : explanation.split('\n')
  if (Array.isArray(explanation)) return explanation.flatMap(explanationText)
  if (typeof explanation === 'object' && explanation !== null) {
    const named = explanation as Readonly<Record<string, unknown>>
    for (const name of ['formula', 'text', 'summary', 'steps', 'lines'] as const) {
      if (named[name] !== undefined) return explanationText(named[name])
    }
    return [JSON.stringify(explanation)]
  }
  return []
}

/** An invoice for the terminal: each line with its quantity, its amount, and below it how the amount comes about. */
export function renderInvoice(invoice: InvoiceView): string {
  const totals: readonly (readonly [string, string])[] = [
    ['Subtotal', invoice.subtotal],
    ['Tax', invoice.tax],
    ['Total', invoice.total],
  ]
  const table = renderTable(
    [
      { header: 'Line' },
      { header: 'Quantity', align: 'right' },
      { header: `Amount ${invoice.currency}`, align: 'right' },
    ],
    [
      ...invoice.lines.map((line) => [
        line.name ?? line.price ?? line.kind,
        grouped(line.quantity ?? ''),
        grouped(line.amount),
      ]),
      ...totals.map(([name, amount]) => [name, '', grouped(amount)]),
    ],
  ).split('\n')
  const rule = table[1] ?? ''
  const body = invoice.lines.flatMap((line, i) => [
    table[i + 2] ?? '',
    ...explanationText(line.explanation).map((text) => `    ${printable(text)}`),
  ])
  return [
    `Invoice ${invoice.number ?? '(draft)'}  ${invoice.state}  customer ${printable(invoice.customer)}  ${invoice.periodStart} to ${invoice.periodEnd}`,
    '',
    ...table.slice(0, 2),
    ...body,
    rule,
    ...table.slice(2 + invoice.lines.length),
  ].join('\n')
}
