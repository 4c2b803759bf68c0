import { describe, expect, it } from 'vitest'
import { nextState, type InvoiceEvent, type InvoiceState } from '../../src/invoice/lifecycle.ts'
import { openInvoiceApi, type InvoiceApi } from '../support/invoice-api.ts'
import { aSubscription, DEMO_USAGE, llmApiPlan } from '../support/invoicing.ts'

interface Closed {
  readonly api: InvoiceApi
  readonly id: string
  readonly line: string
  readonly payment: string
}

/** The demonstration's invoice in a state. */
async function inState(
  state: 'finalized' | 'partlyPaid' | 'paid' | 'void' | 'uncollectible',
): Promise<Closed> {
  const api = openInvoiceApi({
    subscriptions: [aSubscription(llmApiPlan(), '2023-11-01')],
    events: [...DEMO_USAGE],
  })
  const closed = await api.call('POST', '/v1/invoices/close', {
    customer: 'acme',
    periodEnd: '2023-12-01T00:00:00Z',
  })
  const id = closed.body['id'] as string
  const line = (closed.body['lines'] as { id: string }[])[0]?.id ?? ''
  const done = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const answer = await api.call('POST', `/v1/invoices/${id}/${path}`, body)
    expect(answer.status).toBeLessThan(300)
    return answer.body
  }
  let payment = 'pay_none'
  if (state === 'paid' || state === 'partlyPaid') {
    const paid = await done('payments', { amount: state === 'paid' ? '65.58' : '5.58' })
    payment = (paid['payment'] as { id: string }).id
  }
  if (state === 'void') await done('void', {})
  if (state === 'uncollectible') await done('writeOff', {})
  return { api, id, line, payment }
}

const COMMANDS = {
  payAll: { path: 'payments', body: { amount: '65.58' }, event: 'settle' },
  payPart: { path: 'payments', body: { amount: '0.01' }, event: 'applyPayment' },
  void: { path: 'void', body: {}, event: 'void' },
  writeOff: { path: 'writeOff', body: {}, event: 'writeOff' },
  credit: { path: 'credit-notes', body: null, event: 'credit' },
} as const satisfies Record<string, { path: string; body: object | null; event: InvoiceEvent }>

describe('commands over the API', () => {
  const states = ['finalized', 'paid', 'void', 'uncollectible'] as const
  for (const state of states) {
    for (const [name, { path, body, event }] of Object.entries(COMMANDS)) {
      const isLegal = nextState(state satisfies InvoiceState, event) !== null
      it(`INV-41: ${name} on an invoice that is ${state} is ${isLegal ? 'done' : 'refused with 409, and nothing is told'}`, async () => {
        const { api, id, line } = await inState(state)
        const before = await api.call('GET', `/v1/invoices/${id}`)
        const history = await api.call('GET', `/v1/invoices/${id}/history`)
        const given = body ?? { lines: [{ line, amount: '1.00' }], reason: 'goodwill' }
        const answer = await api.call('POST', `/v1/invoices/${id}/${path}`, given)
        if (isLegal) {
          expect(answer.status).toBeLessThan(300)
          return
        }
        expect(answer.status).toBe(409)
        expect(answer.type).toBe('application/problem+json')
        expect((await api.call('GET', `/v1/invoices/${id}`)).body).toEqual(before.body)
        expect((await api.call('GET', `/v1/invoices/${id}/history`)).body).toEqual(history.body)
      })
    }
  }

  it('guards a void by its payments, and says what to do', async () => {
    const { api, id } = await inState('partlyPaid')
    expect((await api.call('POST', `/v1/invoices/${id}/void`, {})).body).toMatchObject({
      status: 409,
      code: 'paymentsApplied',
      detail: expect.stringContaining('credit note') as string,
    })
  })

  it('records a payment once for one Idempotency-Key', async () => {
    const { api, id } = await inState('finalized')
    const pay = async (amount: string, key: string) =>
      api.call('POST', `/v1/invoices/${id}/payments`, { amount }, { headers: { 'idempotency-key': key } })
    const first = await pay('10.00', 'a')
    expect(first).toMatchObject({
      status: 201,
      body: { state: 'finalized', amountPaid: '10.00', amountDue: '55.58', payment: { amount: '10.00' } },
    })
    expect((await pay('10.00', 'a')).body).toEqual(first.body)
    expect((await pay('11.00', 'a')).body).toMatchObject({ status: 422, code: 'idempotencyKeyReused' })
    expect((await pay('60.00', 'b')).body).toMatchObject({
      state: 'paid',
      amountDue: '0.00',
      payment: { applied: '55.58', toBalance: '4.42' },
    })
    expect((await api.call('GET', '/v1/customers/acme/balance')).body).toMatchObject({
      data: [{ currency: 'USD', amount: '4.42' }],
    })
    const list = await api.call('GET', `/v1/invoices/${id}/payments`)
    expect(list.body['data']).toHaveLength(2)
  })

  it('opens a paid invoice again when its payment comes back', async () => {
    const { api, id, payment } = await inState('paid')
    const path = `/v1/invoices/${id}/payments/${payment}/return`
    expect((await api.call('POST', path, { reason: 'R01' })).body).toMatchObject({
      state: 'finalized',
      amountDue: '65.58',
      payment: { returnReason: 'R01' },
    })
    expect((await api.call('POST', path, {})).body).toMatchObject({ status: 409, code: 'alreadyReturned' })
    const unknown = await api.call('POST', `/v1/invoices/${id}/payments/pay_none/return`, {})
    expect(unknown.body).toMatchObject({ status: 404, code: 'unknownPayment' })
  })

  it('refuses amounts that are none, with a pointer', async () => {
    const { api, id } = await inState('finalized')
    for (const amount of ['0', '-1', '1e3', '1.001', 'x', '']) {
      expect((await api.call('POST', `/v1/invoices/${id}/payments`, { amount })).body, amount).toMatchObject({
        status: 400,
        errors: [{ pointer: '/amount' }],
      })
    }
    const euro = await api.call('POST', `/v1/invoices/${id}/payments`, { amount: '1', currency: 'EUR' })
    expect(euro.body).toMatchObject({ status: 400, errors: [{ pointer: '/currency' }] })
    const typo = await api.call('POST', `/v1/invoices/${id}/payments`, { amount: '1', amout: '2' })
    expect(typo.status).toBe(400)
  })

  it('lists credit notes with positive amounts and what they correct', async () => {
    const { api, id, line } = await inState('finalized')
    const credit = async (amount: string) =>
      api.call('POST', `/v1/invoices/${id}/credit-notes`, { lines: [{ line, amount }], reason: 'outage' })
    expect(await credit('5.00')).toMatchObject({
      status: 201,
      body: {
        number: 'CN-000001',
        corrects: 'INV-000001',
        total: '5.00',
        state: 'applied',
        lines: [{ kind: 'credit', amount: '5.00', corrects: ['INV-000001'], correctsLine: line }],
      },
    })
    expect((await credit('15.01')).body).toMatchObject({ status: 409, code: 'exceedsLine' })
    expect((await credit('0.001')).body).toMatchObject({ status: 400 })
    const list = await api.call('GET', '/v1/credit-notes?customer=acme')
    expect(list.body).toMatchObject({ data: [{ number: 'CN-000001' }], hasMore: false })
    expect((await api.call('GET', '/v1/credit-notes?customer=nobody')).body).toMatchObject({ data: [] })
    const note = (list.body['data'] as { id: string }[])[0]?.id ?? ''
    expect((await api.call('GET', `/v1/credit-notes/${note}`)).body).toEqual(
      (list.body['data'] as unknown[])[0],
    )
    const html = await api.call('GET', `/v1/credit-notes/${note}.html`)
    expect(Buffer.from(html.bytes).toString()).toContain('Credit note')
    expect((await api.call('GET', `/v1/credit-notes/${note}.pdf`)).type).toBe('application/pdf')
    expect((await api.call('GET', '/v1/credit-notes/cn_none')).body).toMatchObject({
      code: 'unknownCreditNote',
    })
    expect((await api.call('GET', `/v1/invoices/${id}`)).body).toMatchObject({
      amountCredited: '5.00',
      amountDue: '60.58',
    })
  })
})
