import { describe, expect, it } from 'vitest'
import {
  ACME,
  DEMO_USAGE,
  TENANT,
  aSubscription,
  fakeInvoicing,
  instant,
  llmApiPlan,
} from '../support/invoicing.ts'

const acme = { tenant: TENANT, customer: ACME }

describe("the demonstration's invoice", () => {
  const invoicing = fakeInvoicing({
    subscriptions: [aSubscription(llmApiPlan(), '2023-11-01')],
    events: DEMO_USAGE,
  })

  it('comes to 65.58 USD, lines in the order of the plan', async () => {
    const outcome = await invoicing.close({ ...acme, periodEnd: instant('2023-12-01') })
    if (outcome.kind !== 'finalized') throw new Error(JSON.stringify(outcome))
    const { invoice } = outcome
    expect(
      invoice.lines.map(({ kind, price, meter, quantity, amount, exactAmount }) => ({
        kind,
        price,
        meter,
        quantity,
        amount,
        exactAmount,
      })),
    ).toEqual([
      { kind: 'recurring', price: 'base', meter: null, quantity: '1', amount: '20.00', exactAmount: '20' },
      {
        kind: 'usage',
        price: 'input-tokens',
        meter: 'input_tokens',
        quantity: '18059974',
        amount: '38.62',
        exactAmount: '38.619948',
      },
      {
        kind: 'usage',
        price: 'output-tokens',
        meter: 'output_tokens',
        quantity: '245896',
        amount: '2.46',
        exactAmount: '2.45896',
      },
      {
        kind: 'usage',
        price: 'requests',
        meter: 'requests',
        quantity: '8819',
        amount: '4.50',
        exactAmount: '4.5',
      },
    ])
    expect(invoice).toMatchObject({
      number: 'INV-000001',
      state: 'finalized',
      customer: 'acme',
      currency: 'USD',
      periodStart: '2023-11-01T00:00:00Z',
      periodEnd: '2023-12-01T00:00:00Z',
      issuedAt: '2023-12-01T01:00:00Z',
      dueAt: '2023-12-16T00:00:00Z',
      cut: [{ partition: 0, offset: 3 }],
      subtotal: '65.58',
      tax: '0.00',
      total: '65.58',
    })
    expect(invoice.hash).toMatch(/^[0-9a-f]{64}$/)
    for (const line of invoice.lines) {
      expect(line.start).toBe('2023-11-01T00:00:00Z')
      expect(line.end).toBe('2023-12-01T00:00:00Z')
      expect(line.explanation).toContain(line.amount)
    }
  })
})
