import { describe, expect, it } from 'vitest'
import type { BillablePlan } from '../../src/invoice/billable.ts'
import {
  ACME,
  aPlan,
  aPrice,
  aSubscription,
  fakeInvoicing,
  type FakeUsage,
  instant,
  TENANT,
} from '../support/invoicing.ts'

/** 100 free units, then one price. */
function calls(unitAmount: string) {
  const tiers = [
    { upTo: '100', unitAmount: '0' },
    { upTo: null, unitAmount },
  ]
  return aPrice('calls', { price: { model: 'graduated', tiers } }, { meter: 'calls' })
}

async function linesOf(before: BillablePlan, after: BillablePlan, events: FakeUsage[]) {
  const change = instant('2023-11-16')
  const subscription = aSubscription(before, '2023-11-01', {
    phases: [
      { start: instant('2023-11-01'), end: change, plan: before },
      { start: change, end: null, plan: after },
    ],
  })
  const invoicing = fakeInvoicing({ subscriptions: [subscription], events })
  const outcome = await invoicing.close({
    tenant: TENANT,
    customer: ACME,
    periodEnd: instant('2023-12-01'),
  })
  if (outcome.kind !== 'finalized') throw new Error(outcome.kind)
  return outcome.invoice.lines
}

describe('a period in which the prices change', () => {
  it('bills what was used before and after by the prices in force, and tiers restart with the change', async () => {
    const lines = await linesOf(aPlan([calls('1.00')]), aPlan([calls('2.00')], { version: 2 }), [
      { meter: 'calls', at: '2023-11-15T23:59:59Z', quantity: '150' },
      { meter: 'calls', at: '2023-11-16T00:00:00Z', quantity: '120' },
    ])
    expect(lines).toMatchObject([
      { planVersion: 1, quantity: '150', amount: '50.00', end: '2023-11-16T00:00:00Z' },
      // 100 units are free anew. If the tiers went on, all 120 would cost 2.00.
      { planVersion: 2, quantity: '120', amount: '40.00', start: '2023-11-16T00:00:00Z' },
    ])
  })

  it('restarts the tiers of a price that the change leaves as it is, too', async () => {
    const plan = aPlan([calls('1.00')])
    const lines = await linesOf(plan, { ...plan, version: 2 }, [
      { meter: 'calls', at: '2023-11-10T00:00:00Z', quantity: '100' },
      { meter: 'calls', at: '2023-11-20T00:00:00Z', quantity: '100' },
    ])
    expect(lines).toMatchObject([{ amount: '0.00' }, { amount: '0.00' }])
  })
})
