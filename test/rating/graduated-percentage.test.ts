import { describe, it } from 'vitest'
import { expectRows } from './table.ts'

const price = {
  model: 'graduatedPercentage',
  tiers: [
    { upTo: '10', rate: '1', flatAmount: '200' },
    { upTo: '20', rate: '2', flatAmount: '300' },
    { upTo: null, rate: '3', flatAmount: '400' },
  ],
}

describe('a graduated percentage price', () => {
  it('I8: charges each part of an amount at the rate of its own tier, and each tier that is entered once', () => {
    expectRows(price, [
      ['0', '0'],
      ['10', '200.1', 'percentage 10 × 0.01', 'tierFlat 1 × 200'],
      ['15', '500.2', 'percentage 10 × 0.01', 'tierFlat 1 × 200', 'percentage 5 × 0.02', 'tierFlat 1 × 300'],
    ])
    expectRows({ ...price, flatFeeOnZeroUsage: true }, [['0', '200', 'tierFlat 1 × 200']])
  })
})
