import { describe, expect, it } from 'vitest'
import { parsePlan } from '../../src/catalog/plan-parse.ts'
import { judgeMeters } from '../../src/catalog/plan-meters.ts'
import { effectivePrices, sameOverrides } from '../../src/catalog/price-override.ts'
import type { MeterKey } from '../../src/id/ids.ts'
import { toText } from '../../src/money/decimal.ts'

const parsed = parsePlan({
  name: 'Basic',
  currency: 'USD',
  interval: 'month',
  prices: [
    {
      key: 'fee',
      name: 'Fee',
      payment: 'inAdvance',
      price: { model: 'flat', amount: '10.00' },
      minimum: '5',
    },
    {
      key: 'use',
      name: 'Use',
      meter: 'requests',
      payment: 'inArrears',
      price: { model: 'unit', unitAmount: '1' },
    },
    {
      key: 'grid',
      name: 'Grid',
      meter: 'tokens',
      payment: 'inArrears',
      price: { model: 'matrix', dimensions: ['model', 'region'], cells: [] },
    },
  ],
})
if (parsed.kind === 'faulty') throw new Error(JSON.stringify(parsed.faults))
const plan = parsed.draft.definition

const faultsOf = (overrides: unknown): readonly string[] => {
  const effective = effectivePrices(plan, overrides)
  return effective.kind === 'prices' ? [] : effective.faults.map((fault) => fault.pointer)
}

describe('the overrides of a subscription', () => {
  it('replace members of a price; a null member takes the one of the plan away', () => {
    const effective = effectivePrices(plan, {
      fee: { price: { model: 'flat', amount: '7.50' }, minimum: null },
      use: { maximum: '100' },
    })
    if (effective.kind === 'faulty') throw new Error(JSON.stringify(effective.faults))
    const [fee, use, grid] = effective.prices
    expect(fee?.terms.price.model === 'flat' && toText(fee.terms.price.amount)).toBe('7.5')
    expect(fee?.terms.minimum).toBeNull()
    expect(use?.terms.price.model === 'unit' && toText(use.terms.price.unitAmount)).toBe('1')
    expect(use?.terms.maximum && toText(use.terms.maximum)).toBe('100')
    expect(grid).toBe(plan.prices[2])
    expect(effectivePrices(plan, {})).toEqual({ kind: 'prices', prices: plan.prices })
  })

  it.each([
    [null, ['/overrides']],
    [{ other: {} }, ['/overrides/other']],
    [{ fee: 7 }, ['/overrides/fee']],
    [{ fee: { meter: 'requests' } }, ['/overrides/fee/meter']],
    [{ fee: { key: 'x' } }, ['/overrides/fee/key']],
    [{ fee: { price: null } }, ['/overrides/fee/price']],
    [{ fee: { price: { model: 'unit', unitAmount: '1' } } }, ['/overrides/fee/price']],
    [{ fee: { maximum: '4' } }, ['/overrides/fee/minimum']],
    [
      { use: { price: { model: 'unit', unitAmount: '-1' } }, fee: { minimum: 1.5 } },
      ['/overrides/fee/minimum', '/overrides/use/price/unitAmount'],
    ],
  ])('%j is faulty at %j', (overrides, pointers) => {
    expect(faultsOf(overrides)).toEqual(pointers)
  })

  it('are compared whatever the order of their members, and by the order of lists', () => {
    const a = {
      fee: { price: { model: 'flat', amount: '1' }, discounts: [{ percent: '1' }, { percent: '2' }] },
    }
    const b = {
      fee: { discounts: [{ percent: '1' }, { percent: '2' }], price: { amount: '1', model: 'flat' } },
    }
    const c = {
      fee: { price: { model: 'flat', amount: '1' }, discounts: [{ percent: '2' }, { percent: '1' }] },
    }
    expect([sameOverrides(a, b), sameOverrides(a, c), sameOverrides({}, a)]).toEqual([true, false, false])
  })
})

describe('the meters of a plan', () => {
  it('must exist and have the dimensions that prices name', () => {
    const meters = new Map<MeterKey, readonly string[]>([['tokens' as MeterKey, ['model']]])
    expect(judgeMeters(plan, meters).map((fault) => fault.pointer)).toEqual([
      '/prices/1/meter',
      '/prices/2/price/dimensions/1',
    ])
    meters.set('requests' as MeterKey, [])
    meters.set('tokens' as MeterKey, ['region', 'model'])
    expect(judgeMeters(plan, meters)).toEqual([])
  })
})
