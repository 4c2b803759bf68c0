import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { InvoiceMetrics } from '../invoice/ports.ts'
import type { BillRunMetrics } from '../invoice/bill-run-ports.ts'

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

/** What the bill run does, for `/metrics`. */
export function createBillRunMetrics(registry: Registry): BillRunMetrics {
  const registers = [registry]
  const closes = new Counter({
    name: 'tallyman_bill_run_closes_total',
    help: 'Closes of the bill run by outcome; held ones are tried again.',
    labelNames: ['outcome'],
    registers,
  })
  const batches = new Histogram({
    name: 'tallyman_bill_run_batch_duration_seconds',
    help: 'Time of one batch of customers, from reading them to their invoices.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  })
  const customers = new Counter({
    name: 'tallyman_bill_run_customers_total',
    help: 'Customers that the bill run has worked on.',
    registers,
  })
  const late = new Gauge({
    name: 'tallyman_bill_run_lateness_seconds',
    help: 'How long after the end of its grace the last invoice was finalized, by the clock of its customer.',
    registers,
  })
  return {
    closed: (outcome, count) => closes.inc({ outcome }, count),
    batch: (count, seconds) => {
      customers.inc(count)
      batches.observe(seconds)
    },
    late: (seconds) => late.set(seconds),
  }
}
