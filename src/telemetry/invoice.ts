import { Counter, Histogram, type Registry } from 'prom-client'
import type { InvoiceMetrics } from '../invoice/ports.ts'

/** What invoicing does, for `/metrics`. Amounts are summed as floats here, for graphs only. */
export function createInvoiceMetrics(registry: Registry): InvoiceMetrics {
  const registers = [registry]
  const closes = new Histogram({
    name: 'tallyman_invoice_close_duration_seconds',
    help: 'Time of one close, the wait for the journal included, by outcome.',
    labelNames: ['outcome'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  })
  const finalized = new Counter({
    name: 'tallyman_invoices_finalized_total',
    help: 'Invoices that got a number.',
    labelNames: ['currency'],
    registers,
  })
  const amount = new Counter({
    name: 'tallyman_invoice_amount_total',
    help: 'Totals of finalized invoices above zero, in units of the currency.',
    labelNames: ['currency'],
    registers,
  })
  return {
    closed: (outcome, seconds) => closes.observe({ outcome }, seconds),
    finalized: (currency, total) => {
      finalized.inc({ currency })
      amount.inc({ currency }, Math.max(0, Number(total)))
    },
  }
}
