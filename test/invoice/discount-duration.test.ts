import { describe, expect, it } from 'vitest'
import type { PlanKey } from '../../src/id/ids.ts'
import type { BillablePhase, BillablePlan } from '../../src/invoice/billable.ts'
import { chargesThrough } from '../../src/invoice/charge.ts'
import { rateCharge } from '../../src/invoice/rated-charge.ts'
import type { Currency } from '../../src/money/currency.ts'
import { toFixedText } from '../../src/money/decimal.ts'
import { aPlan, aPrice, aSubscription, instant } from '../support/invoicing.ts'

function plan(key: string, over: Partial<BillablePlan> = {}): BillablePlan {
  const discounts = [{ percent: '50', periods: 2 }, { amount: '1' }]
  const price = aPrice('base', { price: { model: 'flat', amount: '31' }, discounts })
  return aPlan([price], { key: key as PlanKey, ...over })
}

function phase(start: string, end: string | null, of: BillablePlan): BillablePhase {
  return { start: instant(start), end: end === null ? null : instant(end), plan: of }
}

/** Start of the service and amount of each charge. */
function billed(phases: readonly BillablePhase[], through: string, anchorDay = 1): readonly string[] {
  const [first] = phases
  if (first === undefined) throw new Error('no phase')
  const subscription = { ...aSubscription(first.plan, '2023-01-01'), phases, anchorDay }
  return chargesThrough(subscription, instant(through)).map((charge) => {
    const rating = rateCharge(charge, null, 'USD' as Currency)
    if (rating.kind === 'refused') throw new Error(rating.error.detail)
    const day = new Date(charge.service.start).toISOString().slice(0, 10)
    return `${day} ${toFixedText(rating.rated.amount)}`
  })
}

describe('a discount for a number of periods', () => {
  it('holds for the first ones, and what has no end goes on', () => {
    expect(billed([phase('2023-01-01', null, plan('a'))], '2023-05-01')).toEqual([
      '2023-01-01 14.50',
      '2023-02-01 14.50',
      '2023-03-01 30.00',
      '2023-04-01 30.00',
    ])
  })

  it('counts the period in which the subscription came to the plan, though it was a part', () => {
    const phases = [phase('2023-01-17', null, plan('a'))]
    expect(billed(phases, '2023-04-01')).toEqual(['2023-01-17 7.02', '2023-02-01 14.50', '2023-03-01 30.00'])
  })

  it('goes on through a new version and a pause, and begins with another plan', () => {
    const phases = [
      phase('2023-01-01', '2023-02-01', plan('a')),
      // Paused in February: the second period passes.
      phase('2023-03-01', '2023-04-01', plan('a', { version: 2 })),
      phase('2023-04-01', '2023-06-01', plan('b')),
      phase('2023-06-01', null, plan('a', { version: 2 })),
    ]
    expect(billed(phases, '2023-07-01')).toEqual([
      '2023-01-01 14.50',
      '2023-03-01 30.00',
      '2023-04-01 14.50',
      '2023-05-01 14.50',
      '2023-06-01 30.00',
    ])
  })

  it('is over when the subscription comes back to the plan from one with another interval', () => {
    const phases = [
      phase('2023-01-01', '2023-02-01', plan('a')),
      phase('2023-02-01', '2024-02-01', plan('b', { interval: 'year' })),
      phase('2024-02-01', null, plan('a')),
    ]
    expect(billed(phases, '2024-03-01')).toEqual(['2023-01-01 14.50', '2023-02-01 14.50', '2024-02-01 30.00'])
  })
})
