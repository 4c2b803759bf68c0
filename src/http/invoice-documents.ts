import { invoiceCsv } from '../invoice/documents/csv.ts'
import { invoiceHtml } from '../invoice/documents/html.ts'
import { invoicePdf } from '../invoice/documents/pdf.ts'
import type { CreditNote, Invoice } from '../invoice/invoice.ts'
import type { InvoicePosition } from '../invoice/ports.ts'
import { instantOf } from '../time/instant.ts'
import { invalidCursor } from './invoice-problems.ts'

export const DOCUMENT_TYPES = {
  html: 'text/html; charset=utf-8',
  pdf: 'application/pdf',
  csv: 'text/csv; charset=utf-8; header=present',
} as const
export type DocumentSuffix = keyof typeof DOCUMENT_TYPES

/** `inv_…` or `inv_….pdf`. */
export function splitSuffix(document: string): {
  readonly id: string
  readonly suffix: DocumentSuffix | null
} {
  const point = document.lastIndexOf('.')
  const suffix = (['html', 'pdf', 'csv'] as const).find((known) => document.slice(point) === `.${known}`)
  return suffix === undefined ? { id: document, suffix: null } : { id: document.slice(0, point), suffix }
}

export async function documentResponse(
  invoice: Invoice | CreditNote,
  suffix: DocumentSuffix,
): Promise<Response> {
  const name = `${invoice.number ?? invoice.id}.${suffix}`.replace(/[^\w.-]/g, '_')
  const headers = {
    'content-type': DOCUMENT_TYPES[suffix],
    'content-disposition': `${suffix === 'csv' ? 'attachment' : 'inline'}; filename="${name}"`,
    'x-content-type-options': 'nosniff',
  }
  switch (suffix) {
    case 'html':
      return new Response(invoiceHtml(invoice), {
        headers: { ...headers, 'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'" },
      })
    case 'pdf':
      return new Response(Buffer.from(await invoicePdf(invoice)), { headers })
    case 'csv':
      return new Response(invoiceCsv(invoice), { headers })
  }
}

export function cursorOf({ issuedAt, id }: InvoicePosition): string {
  return Buffer.from(`${issuedAt}.${id}`).toString('base64url')
}

export function positionOf(cursor: string): InvoicePosition {
  const found = /^(-?\d{1,15})\.((?:inv|cn)_\w{1,60})$/.exec(
    Buffer.from(cursor, 'base64url').toString('utf8'),
  )
  const [, issuedAt, id] = found ?? []
  if (issuedAt === undefined || id === undefined) throw invalidCursor()
  return { issuedAt: instantOf(Number(issuedAt)), id }
}
