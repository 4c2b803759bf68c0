import { describe, expect, it } from 'vitest'
import { type ControlApi, openControlApi } from '../support/control-api.ts'

const ACME = {
  name: 'Acme Inc.',
  subjects: ['acme', 'acme-prod'],
  currency: 'USD',
  timezone: 'Europe/Berlin',
  billing: {
    legalName: 'Acme Incorporated',
    address: { city: 'Berlin', country: 'DE' },
    paymentTermsDays: 14,
    taxRates: [{ name: 'VAT', rate: '0.19' }],
  },
}

async function subscribe({ call }: ControlApi): Promise<void> {
  const prices = [{ key: 'base', name: 'Base', payment: 'inArrears', price: { model: 'flat', amount: '1' } }]
  await call('PUT', '/v1/plans/p', { name: 'P', currency: 'USD', interval: 'month', prices })
  expect((await call('POST', '/v1/subscriptions', { customer: 'acme', plan: 'p' })).status).toBe(201)
}

describe('/v1/customers', () => {
  it('creates, replaces and shows a customer, and settles before it answers', async () => {
    const control = openControlApi()
    const made = await control.call('PUT', '/v1/customers/acme', ACME)
    expect(made.status).toBe(200)
    expect(made.body).toEqual({
      ...ACME,
      key: 'acme',
      testClock: null,
      createdAt: '2026-03-10T12:00:00Z',
      updatedAt: '2026-03-10T12:00:00Z',
    })
    expect(control.settled).toBe(1)
    const { name, currency, timezone } = ACME
    const bare = await control.call('PUT', '/v1/customers/acme', { name, currency, timezone })
    expect(bare.body).toMatchObject({ subjects: ['acme'], billing: {} })
    expect((await control.call('GET', '/v1/customers/acme')).body).toEqual(bare.body)
    expect((await control.call('GET', '/v1/customers')).body).toEqual({
      data: [bare.body],
      nextCursor: null,
      hasMore: false,
    })
  })

  it('answers 404 for an unknown customer, and for one of another tenant', async () => {
    const { call } = openControlApi()
    await call('PUT', '/v1/customers/acme', ACME)
    const none = await call('GET', '/v1/customers/none')
    expect([none.status, none.body['code']]).toEqual([404, 'unknownCustomer'])
    expect((await call('GET', '/v1/customers/acme', undefined, { key: 'other' })).status).toBe(404)
  })

  it('unknownTestClock: 422 at /testClock', async () => {
    const control = openControlApi()
    const answer = await control.call('PUT', '/v1/customers/acme', { ...ACME, testClock: 'clk_none' })
    expect([answer.status, answer.body['code']]).toEqual([422, 'unknownTestClock'])
    expect(answer.body['errors']).toMatchObject([{ pointer: '/testClock' }])
    expect(control.settled).toBe(0)
  })

  it('subjectTaken: 409 at the subject, and who has it', async () => {
    const { call } = openControlApi()
    await call('PUT', '/v1/customers/acme', ACME)
    const answer = await call('PUT', '/v1/customers/umbrella', { ...ACME, subjects: ['u', 'acme-prod'] })
    expect([answer.status, answer.body['code']]).toEqual([409, 'subjectTaken'])
    expect(answer.body).toMatchObject({
      subject: 'acme-prod',
      customer: 'acme',
      errors: [{ pointer: '/subjects/1' }],
    })
  })

  it.each([
    ['currency', { currency: 'EUR' }],
    ['testClock', { testClock: 'clk' }],
  ])('fixedMember: %s cannot change once the customer has subscribed', async (member, change) => {
    const control = openControlApi()
    await control.call('POST', '/v1/test-clocks', { id: 'clk' })
    await control.call('PUT', '/v1/customers/acme', ACME)
    await subscribe(control)
    const answer = await control.call('PUT', '/v1/customers/acme', { ...ACME, ...change })
    expect([answer.status, answer.body['code']]).toEqual([409, 'fixedMember'])
    expect(answer.body['errors']).toMatchObject([{ pointer: `/${member}` }])
  })

  it('tells every fault of a body at once', async () => {
    const { call } = openControlApi()
    const answer = await call('PUT', '/v1/customers/acme', {
      name: 'x',
      currency: 'usd',
      timezone: '+02:00',
      subject: ['a'],
      billing: { adress: {}, taxRates: [{ name: 'VAT', rate: 19 }] },
    })
    expect(answer.status).toBe(400)
    expect((answer.body['errors'] as { pointer: string }[]).map(({ pointer }) => pointer)).toEqual([
      '/subject',
      '/currency',
      '/timezone',
      '/billing/adress',
      '/billing/taxRates/0/rate',
    ])
    expect(answer.body['detail']).toContain('did you mean "subjects"?')
    expect(answer.body['detail']).toContain('did you mean "address"?')
  })
})
