import { parse } from 'csv-parse/sync'
import { describe, expect, it } from 'vitest'
import { add, compare, decimal, ZERO } from '../../src/money/decimal.ts'
import { openInvoiceApi, type InvoiceApi } from '../support/invoice-api.ts'
import { aPlan, aPrice, aSubscription, type FakeUsage } from '../support/invoicing.ts'

const PLAN = aPlan([
  aPrice('base', { price: { model: 'flat', amount: '10.00' } }, { name: '=HYPERLINK("http://evil")' }),
  aPrice('calls', { price: { model: 'unit', unitAmount: '0.01' } }, { meter: 'calls' }),
])
const EVENTS: FakeUsage[] = [
  { meter: 'calls', at: '2023-11-10T00:00:00Z', quantity: '100' },
  { meter: 'calls', at: '2023-12-10T00:00:00Z', quantity: '300' },
]
const NOVEMBER = 'from=2023-11-01T00:00:00Z&to=2023-12-01T00:00:00Z'
const DECEMBER = 'from=2023-12-01T00:00:00Z&to=2024-01-01T00:00:00Z'

async function opened(): Promise<InvoiceApi> {
  const api = openInvoiceApi({
    subscriptions: [aSubscription(PLAN, '2023-11-01')],
    events: [...EVENTS],
    now: () => '2023-12-20T00:00:00Z',
  })
  await api.call('POST', '/v1/invoices/close', { customer: 'acme', periodEnd: '2023-12-01T00:00:00Z' })
  return api
}

async function rows(api: InvoiceApi, query: string): Promise<Record<string, string>[]> {
  const answer = await api.call('GET', `/v1/exports/rated-usage?${query}&format=ndjson`)
  expect(answer.status).toBe(200)
  const text = Buffer.from(answer.bytes).toString('utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, string>)
}

describe('/v1/exports/rated-usage', () => {
  it('has a row for each line of an invoice and each charge that is not billed yet', async () => {
    const api = await opened()
    expect(await rows(api, NOVEMBER)).toMatchObject([
      { status: 'invoiced', document: 'INV-000001', price: 'base', amount: '10.00' },
      { status: 'invoiced', document: 'INV-000001', price: 'calls', quantity: '100', amount: '1.00' },
    ])
    expect(await rows(api, DECEMBER)).toMatchObject([
      { status: 'unbilled', document: null, price: 'base', amount: '10.00' },
      { status: 'unbilled', document: null, price: 'calls', quantity: '300', amount: '3.00' },
    ])
  })

  it('counts late usage that waits for its invoice, and credit as negative, so that the column adds up', async () => {
    const api = openInvoiceApi({
      subscriptions: [aSubscription(PLAN, '2023-11-01')],
      events: [...EVENTS],
      now: () => '2023-12-20T00:00:00Z',
    })
    const close = await api.call('POST', '/v1/invoices/close', {
      customer: 'acme',
      periodEnd: '2023-12-01T00:00:00Z',
    })
    const line = (close.body['lines'] as { id: string }[])[0]?.id ?? ''
    await api.call('POST', `/v1/invoices/${close.body['id'] as string}/credit-notes`, {
      lines: [{ line, amount: '4.00' }],
      reason: 'outage',
    })
    const found = await rows(api, NOVEMBER)
    expect(found.at(-1)).toMatchObject({ status: 'credited', document: 'CN-000001', amount: '-4.00' })
    const sum = found.reduce((all, { amount }) => add(all, decimal(amount ?? '')), ZERO)
    expect(compare(sum, decimal('7.00'))).toBe(0)
  })

  it('leaves no formula in the CSV, and numbers as numbers', async () => {
    const api = await opened()
    const answer = await api.call('GET', `/v1/exports/rated-usage?${NOVEMBER}`)
    expect(answer.type).toContain('text/csv')
    const table = parse<Record<string, string>>(Buffer.from(answer.bytes), { columns: true })
    expect(table[0]).toMatchObject({ name: '\'=HYPERLINK("http://evil")', amount: '10.00', planVersion: '1' })
    for (const row of table) for (const cell of Object.values(row)) expect(cell).not.toMatch(/^[=+@]/)
  })

  it('writes a sheet', async () => {
    const api = await opened()
    const answer = await api.call('GET', `/v1/exports/rated-usage?${NOVEMBER}&format=xlsx`)
    expect(answer.type).toContain('spreadsheetml')
    expect(Buffer.from(answer.bytes.subarray(0, 2)).toString()).toBe('PK')
  })

  it('refuses what it cannot do, with what to do instead', async () => {
    const api = await opened()
    const call = async (query: string) => api.call('GET', `/v1/exports/rated-usage?${query}`)
    expect((await call(`${NOVEMBER}&format=parquet`)).body).toMatchObject({
      status: 422,
      code: 'formatNotAvailable',
    })
    expect((await call(`${NOVEMBER}&format=pdf`)).status).toBe(400)
    expect((await call('from=2023-11-01T00:00:00Z')).body).toMatchObject({ errors: [{ pointer: '/to' }] })
    expect((await call('from=2023-12-01T00:00:00Z&to=2023-11-01T00:00:00Z')).body).toMatchObject({
      status: 400,
      errors: [{ pointer: '/to' }],
    })
  })
})
