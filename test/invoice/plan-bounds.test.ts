import { describe, expect, it } from 'vitest'
import type { CustomerKey } from '../../src/id/ids.ts'
import type { BillablePlan, BillableSubscription } from '../../src/invoice/billable.ts'
import { createInvoicing } from '../../src/invoice/invoicing.ts'
import { decimal } from '../../src/money/decimal.ts'
import { customerOf, openBillingWorld } from '../support/billing-world.ts'
import { aPlan, aPrice, aSubscription, type FakeUsage, instant, TENANT } from '../support/invoicing.ts'

const KEY = 'c0' as CustomerKey
const calls = aPrice(
  'calls',
  { price: { model: 'unit', unitAmount: '1' }, discounts: [{ percent: '50' }] },
  { meter: 'calls' },
)
const fee = aPrice('base', { price: { model: 'flat', amount: '10.00' } }, { payment: 'inAdvance' })
const bound = (over: Partial<BillablePlan>) => aPlan([fee, calls], over)
const use = (at: string, quantity: string): FakeUsage => ({
  meter: 'calls',
  at: `${at}T12:00:00Z`,
  quantity,
  subject: KEY,
})

function open(subscription: BillableSubscription) {
  const taxRates = [{ name: 'VAT', rate: decimal('0.1') }]
  const world = openBillingWorld([{ customer: customerOf(KEY, { taxRates }), subscriptions: [subscription] }])
  const close = async (periodEnd: string) => {
    world.now = instant(periodEnd)
    const request = { tenant: TENANT, customer: KEY, periodEnd: instant(periodEnd) }
    const outcome = await createInvoicing(world.deps).close(request)
    if (outcome.kind !== 'finalized') throw new Error(outcome.kind)
    return outcome.invoice
  }
  return { world, close }
}

describe('the minimum and the maximum of a plan', () => {
  it.each([
    ['20', '30.00', 'all prices of the plan come to 20.00 USD; up to the minimum of 50.00: 30.00 USD'],
    [
      '80',
      '0.00',
      'all prices of the plan come to 50.00 USD, within the minimum of 50.00 and the maximum of 90.00: 0.00 USD',
    ],
    [
      '100',
      '0.00',
      'all prices of the plan come to 60.00 USD, within the minimum of 50.00 and the maximum of 90.00: 0.00 USD',
    ],
    ['200', '-20.00', 'all prices of the plan come to 110.00 USD; down to the maximum of 90.00: -20.00 USD'],
  ])('bound fees in advance and %s discounted calls together', async (quantity, amount, explanation) => {
    const plan = bound({ minimum: decimal('50'), maximum: decimal('90') })
    const { world, close } = open(aSubscription(plan, '2023-11-01'))
    await close('2023-11-01')
    world.events.push(use('2023-11-10', quantity))
    const { lines } = await close('2023-12-01')
    expect(lines.find(({ price }) => price === 'plan-total')).toMatchObject({
      name: 'Plan minimum and maximum',
      amount,
      explanation,
      start: '2023-11-01T00:00:00Z',
      end: '2023-12-01T00:00:00Z',
    })
  })

  it('are taxed: the tax is that of the total (D8)', async () => {
    const { close } = open(aSubscription(bound({ minimum: decimal('50') }), '2023-11-01'))
    await close('2023-11-01')
    // 40.00 up to the minimum, and 10.00 for December in advance.
    expect(await close('2023-12-01')).toMatchObject({ subtotal: '50.00', tax: '5.00', total: '55.00' })
  })

  it('give way to late usage: what it costs more, the minimum costs less', async () => {
    const { world, close } = open(aSubscription(bound({ minimum: decimal('50') }), '2023-11-01'))
    await close('2023-11-01')
    await close('2023-12-01')
    world.events.push(use('2023-11-20', '60'))
    const { lines } = await close('2024-01-01')
    expect(lines.filter(({ corrects }) => corrects.length > 0)).toMatchObject([
      { kind: 'lateUsage', price: 'calls', amount: '30.00' },
      { kind: 'adjustment', price: 'plan-total', amount: '-30.00' },
    ])
  })

  it('are shared out by days where the plan ran for a part of the period', async () => {
    const plan = bound({ minimum: decimal('60') })
    const { close } = open(aSubscription(plan, '2023-11-01', { end: '2023-11-11' }))
    await close('2023-11-01')
    const { lines } = await close('2023-11-11')
    // 60.00 for 10 of 30 days are 20.00; the fee is 3.33 then.
    expect(lines.find(({ price }) => price === 'plan-total')).toMatchObject({
      amount: '16.67',
      explanation:
        'all prices of the plan come to 3.33 USD; up to the minimum of 20.00, for 10 of 30 days: 16.67 USD',
    })
  })

  it('are on no invoice of a plan without them', async () => {
    const { close } = open(aSubscription(bound({ minimum: null }), '2023-11-01'))
    await close('2023-11-01')
    const { lines } = await close('2023-12-01')
    expect(lines.map(({ price }) => price).toSorted()).toEqual(['base', 'calls'])
  })
})
