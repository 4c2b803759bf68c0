import { describeInvoiceStore } from '../conformance/invoice-store.ts'
import { memoryStore } from '../support/memory-invoice-store.ts'

describeInvoiceStore('invoices in memory', async () => {
  const store = memoryStore()
  return { store, receivables: store.receivables, creditNotes: store.creditNotes }
})
