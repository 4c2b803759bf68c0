import { describe, expect, it } from 'vitest'
import { answerOf, expectRows, lineTexts } from './table.ts'

const price = {
  model: 'volume',
  tiers: [
    { upTo: '100', unitAmount: '2', flatAmount: '10' },
    { upTo: '200', unitAmount: '1' },
    { upTo: null, unitAmount: '0.5', flatAmount: '50' },
  ],
}

describe('a volume price', () => {
  it('I8: charges every unit in the tier that the whole quantity reaches', () => {
    expectRows(price, [
      ['100', '210', 'volumeUsage 100 × 2', 'volumeFlat 1 × 10'],
      ['100.5', '100.5', 'volumeUsage 100.5 × 1'],
      ['200', '200', 'volumeUsage 200 × 1'],
      ['210', '155', 'volumeUsage 210 × 0.5', 'volumeFlat 1 × 50'],
    ])
  })

  it('charges nothing at zero usage, unless a flag makes the first flat amount due', () => {
    expectRows(price, [['0', '0']])
    expectRows({ ...price, flatFeeOnZeroUsage: true }, [['0', '10', 'volumeFlat 1 × 10']])
  })

  it('takes back what became too dear: later usage may make the period cheaper', () => {
    const later = answerOf({ price, quantity: '1', previousQuantity: '100' })
    expect(later.amount).toBe('-109.00')
    expect(lineTexts(later)).toEqual(['volumeUsage 101 × 1', 'volumeUsage -100 × 2', 'volumeFlat -1 × 10'])
  })

  it('waits for the last part of a period', () => {
    expect(answerOf({ price, quantity: '100', part: 'open' }).amount).toBe('0.00')
    expect(answerOf({ price, quantity: '1', previousQuantity: '100', part: 'closing' }).amount).toBe('101.00')
  })

  it('charges begun packages in a tier that has them', () => {
    expectRows(
      {
        model: 'volume',
        tiers: [
          { upTo: '100000', unitAmount: '1', packageSize: '1000' },
          { upTo: null, unitAmount: '0.5', packageSize: '1000' },
        ],
      },
      [
        ['1500', '2', 'volumePackages 2 × 1'],
        ['100000.1', '50.5', 'volumePackages 101 × 0.5'],
      ],
    )
  })
})
