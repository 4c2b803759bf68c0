import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ApiClient, readShape } from '../api-client.ts'
import { fileFailure } from '../failure.ts'
import { invoiceShape, type InvoiceView } from '../invoice-text.ts'
import { CUSTOMER } from './catalog.ts'

/** Closes the customer's period; one that the scheduler closed already comes back as it is. */
export async function closePeriod(api: ApiClient, periodEnd: string): Promise<InvoiceView> {
  const path = '/v1/invoices/close'
  // Closing is idempotent by the period, so a lost answer may be asked for again.
  return readShape(
    invoiceShape,
    await api.json('POST', path, { customer: CUSTOMER, periodEnd }, { repeatable: true }),
    path,
  )
}

/** Writes the invoice's PDF and CSV into the folder. Returns their paths. @throws CliFailure */
export async function writeDocuments(
  api: ApiClient,
  invoice: InvoiceView,
  directory: string,
): Promise<readonly string[]> {
  const name = (invoice.number ?? invoice.id).replace(/[^A-Za-z0-9._-]/g, '_')
  const paths: string[] = []
  for (const extension of ['pdf', 'csv'] as const) {
    const { body } = await api.bytes(`/v1/invoices/${encodeURIComponent(invoice.id)}.${extension}`)
    const path = join(directory, `${name}.${extension}`)
    try {
      mkdirSync(directory, { recursive: true })
      writeFileSync(path, body)
    } catch (error) {
      throw fileFailure(path, error)
    }
    paths.push(path)
  }
  return paths
}
