import { describe, expect, it } from 'vitest'
import { openInvoiceApi, type InvoiceApi } from '../support/invoice-api.ts'
import { aPlan, aPrice, aSubscription, DEMO_USAGE, llmApiPlan } from '../support/invoicing.ts'

const NOVEMBER = { customer: 'acme', periodEnd: '2023-12-01T00:00:00Z' }

function demo(): InvoiceApi {
  return openInvoiceApi({
    subscriptions: [aSubscription(llmApiPlan(), '2023-11-01')],
    events: [...DEMO_USAGE],
  })
}

interface Line {
  readonly id: string
  readonly price: string
  readonly usage: { readonly events: number; readonly root: string } | null
}

async function closed(api: InvoiceApi): Promise<{ readonly id: string; readonly lines: readonly Line[] }> {
  const answer = await api.call('POST', '/v1/invoices/close', NOVEMBER)
  expect(answer.status).toBe(200)
  return answer.body as never
}

describe('/v1/invoices', () => {
  it('previews without storing, and the preview is what the close makes', async () => {
    const api = demo()
    const preview = await api.call('POST', '/v1/invoices/preview', {
      customer: 'acme',
      at: '2023-12-01T00:00:00Z',
    })
    expect(preview.body).toMatchObject({ number: null, state: 'draft', total: '65.58', amountDue: '65.58' })
    expect((await api.call('GET', '/v1/invoices')).body).toEqual({
      data: [],
      nextCursor: null,
      hasMore: false,
    })
    const close = await api.call('POST', '/v1/invoices/close', NOVEMBER)
    expect(close.body).toMatchObject({ number: 'INV-000001', state: 'finalized', total: '65.58' })
    const same = ['id', 'lines', 'subtotal', 'tax', 'total', 'periodStart', 'periodEnd', 'cut'] as const
    for (const member of same) expect(close.body[member]).toEqual(preview.body[member])
  })

  it('returns the invoice of a period that is closed, however often', async () => {
    const api = demo()
    const first = await closed(api)
    const again = await api.call('POST', '/v1/invoices/close', NOVEMBER)
    expect([again.status, again.body]).toEqual([200, first])
    expect((await api.call('GET', '/v1/invoices?customer=acme')).body).toMatchObject({
      data: [{ id: first.id }],
      hasMore: false,
    })
  })

  it('pages through the list, latest first', async () => {
    const plan = aPlan([aPrice('base', { price: { model: 'flat', amount: '1.00' } })])
    const now = (): string => '2024-03-15T00:00:00Z'
    const api = openInvoiceApi({ subscriptions: [aSubscription(plan, '2023-11-01')], now })
    for (const periodEnd of ['2023-12-01T00:00:00Z', '2024-01-01T00:00:00Z', '2024-02-01T00:00:00Z']) {
      expect((await api.call('POST', '/v1/invoices/close', { customer: 'acme', periodEnd })).status).toBe(200)
    }
    const numbers: unknown[] = []
    let cursor: unknown = ''
    do {
      const page = await api.call(
        'GET',
        `/v1/invoices?limit=2&cursor=${String(cursor)}`.replace(/&cursor=$/, ''),
      )
      numbers.push(...(page.body['data'] as { number: string }[]).map(({ number }) => number))
      cursor = page.body['nextCursor']
      expect(page.body['hasMore']).toBe(cursor !== null)
    } while (cursor !== null)
    expect(numbers.sort()).toEqual(['INV-000001', 'INV-000002', 'INV-000003'])
    expect((await api.call('GET', '/v1/invoices?cursor=eA')).body).toMatchObject({ code: 'invalidCursor' })
  })

  it('tells how a line comes about, and which events it counted', async () => {
    const api = demo()
    const invoice = await closed(api)
    const line = invoice.lines.find(({ price }) => price === 'input-tokens')
    const path = `/v1/invoices/${invoice.id}/lines/${line?.id ?? ''}`
    const explanation = await api.call('GET', `${path}/explanation`)
    expect(explanation.body).toMatchObject({ quantity: '18059974', amount: '38.62', meter: 'input_tokens' })
    const events = await api.call('GET', `${path}/events`)
    expect(events.status).toBe(200)
    expect(events.body).toEqual({
      data: [
        {
          source: 'test',
          id: '0',
          type: 'llm.request',
          subject: 'acme',
          time: '2023-11-16T18:17:03Z',
          ingestedAt: '2023-11-16T18:17:03Z',
          value: '18059974',
          properties: { input_tokens: '18059974' },
          coordinate: { partition: 0, offset: 0, index: 0 },
        },
      ],
      nextCursor: null,
      hasMore: false,
    })
    const fee = invoice.lines.find(({ price }) => price === 'base')
    const none = await api.call('GET', `/v1/invoices/${invoice.id}/lines/${fee?.id ?? ''}/events`)
    expect(none.body).toEqual({ data: [], nextCursor: null, hasMore: false })
    expect((await api.call('GET', `${path}x/events`)).body).toMatchObject({
      status: 404,
      code: 'unknownLine',
    })
    expect((await api.call('GET', `${path}/events?cursor=!!`)).body).toMatchObject({ code: 'invalidCursor' })
    expect((await api.call('GET', `${path}/events?limit=0`)).status).toBe(400)
  })

  it('pages through the events behind a line, each once', async () => {
    const plan = aPlan([aPrice('calls', { price: { model: 'unit', unitAmount: '1' } }, { meter: 'calls' })])
    const events = Array.from({ length: 25 }, (_, i) => ({
      meter: 'calls',
      at: `2023-11-0${1 + (i % 9)}T00:00:00Z`,
      quantity: '1',
    }))
    const api = openInvoiceApi({ subscriptions: [aSubscription(plan, '2023-11-01')], events })
    const invoice = await closed(api)
    const ids: string[] = []
    let cursor = ''
    for (;;) {
      const page = await api.call(
        'GET',
        `/v1/invoices/${invoice.id}/lines/${invoice.lines[0]?.id ?? ''}/events?limit=7${cursor}`,
      )
      ids.push(...(page.body['data'] as { id: string }[]).map(({ id }) => id))
      if (page.body['nextCursor'] === null) break
      cursor = `&cursor=${page.body['nextCursor'] as string}`
    }
    expect(ids).toHaveLength(25)
    expect(new Set(ids).size).toBe(25)
  })

  it('answers HTML, PDF and CSV of the same invoice', async () => {
    const api = demo()
    const { id } = await closed(api)
    const html = await api.call('GET', `/v1/invoices/${id}.html`)
    expect(html.type).toContain('text/html')
    expect(html.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(Buffer.from(html.bytes).toString()).toContain('65.58')
    const pdf = await api.call('GET', `/v1/invoices/${id}.pdf`)
    expect(pdf.type).toBe('application/pdf')
    expect(Buffer.from(pdf.bytes.subarray(0, 5)).toString()).toBe('%PDF-')
    expect((await api.call('GET', `/v1/invoices/${id}.pdf`)).bytes).toEqual(pdf.bytes)
    const csv = Buffer.from((await api.call('GET', `/v1/invoices/${id}.csv`)).bytes).toString()
    expect(csv.split('\r\n')).toHaveLength(6)
    expect(csv).toContain(',38.62,')
    expect((await api.call('GET', '/v1/invoices/inv_none.pdf')).status).toBe(404)
  })

  it('proves that an event is behind a line, up to the root on the invoice', async () => {
    const api = demo()
    const invoice = await closed(api)
    const line = invoice.lines.find(({ price }) => price === 'requests')
    const proof = await api.call(
      'GET',
      `/v1/invoices/${invoice.id}/lines/${line?.id ?? ''}/inclusion?source=test&id=2`,
    )
    expect(proof.body).toMatchObject({ leaves: 1, path: [], storedRoot: line?.usage?.root })
    expect(proof.body['leaf']).toBe(line?.usage?.root)
    const missing = await api.call(
      'GET',
      `/v1/invoices/${invoice.id}/lines/${line?.id ?? ''}/inclusion?source=test&id=0`,
    )
    expect(missing.body).toMatchObject({ status: 404, code: 'eventNotIncluded' })
  })

  it('verifies an invoice from its events', async () => {
    const api = demo()
    const { id, hash } = (await closed(api)) as unknown as { id: string; hash: string }
    const answer = await api.call('POST', `/v1/invoices/${id}/verify`)
    expect(answer.body).toEqual({
      invoice: id,
      ok: true,
      storedHash: hash,
      computedHash: hash,
      differences: [],
    })
    expect((await api.call('POST', '/v1/invoices/inv_none/verify')).status).toBe(404)
  })

  it('refuses with a code that says what to do', async () => {
    const api = demo()
    const close = async (body: object) => api.call('POST', '/v1/invoices/close', body)
    expect((await close({ customer: 'nobody', periodEnd: NOVEMBER.periodEnd })).body).toMatchObject({
      status: 404,
      code: 'unknownCustomer',
    })
    expect((await close({ customer: 'acme', periodEnd: '2024-01-01T00:00:00Z' })).body).toMatchObject({
      status: 409,
      code: 'periodNotEnded',
      now: '2023-12-01T01:00:00Z',
    })
    expect((await close({ customer: 'acme', periodEnd: '2023-11-15T00:00:00Z' })).body).toMatchObject({
      status: 422,
      code: 'notAPeriodEnd',
      nearest: ['2023-12-01T00:00:00Z'],
    })
    expect((await close({ customer: 'acme' })).body).toMatchObject({
      status: 400,
      errors: [{ pointer: '/periodEnd' }],
    })
    expect((await close({ customer: 'acme', periodEnd: 'soon' })).body).toMatchObject({ status: 400 })
    expect((await api.call('GET', '/v1/invoices/inv_none')).body).toMatchObject({ code: 'unknownInvoice' })
  })

  it('reads with the scope read, writes with admin, and knows no other tenant', async () => {
    const api = demo()
    const { id, lines } = await closed(api)
    const paths = [
      `/v1/invoices/${id}`,
      `/v1/invoices/${id}.pdf`,
      `/v1/invoices/${id}/payments`,
      `/v1/invoices/${id}/history`,
      `/v1/invoices/${id}/lines/${lines[0]?.id ?? ''}/events`,
    ]
    for (const path of paths) {
      expect((await api.call('GET', path, undefined, { key: 'read' })).status).toBe(200)
      expect((await api.call('GET', path, undefined, { key: 'ingest' })).status).toBe(403)
      expect((await api.call('GET', path, undefined, { key: 'other' })).status).toBe(404)
    }
    const writes: [string, object][] = [
      ['close', NOVEMBER],
      [`${id}/void`, {}],
      [`${id}/writeOff`, {}],
      [`${id}/payments`, { amount: '1.00' }],
      [`${id}/credit-notes`, { lines: [{ line: lines[0]?.id, amount: '1.00' }], reason: 'x' }],
    ]
    for (const [path, body] of writes) {
      expect((await api.call('POST', `/v1/invoices/${path}`, body, { key: 'read' })).status).toBe(403)
      expect((await api.call('POST', `/v1/invoices/${path}`, body, { key: 'other' })).status).toBe(404)
    }
  })
})
