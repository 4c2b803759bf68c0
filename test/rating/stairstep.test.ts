import { describe, it } from 'vitest'
import { expectRows } from './table.ts'

describe('a stairstep price', () => {
  it('I8: is the one amount of the stair that the quantity reaches, and nothing at zero usage', () => {
    expectRows(
      {
        model: 'stairstep',
        tiers: [
          { upTo: '10', amount: '100' },
          { upTo: '50', amount: '400' },
          { upTo: null, amount: '1000' },
        ],
      },
      [
        ['0', '0'],
        ['0.1', '100', 'stair 1 × 100'],
        ['10', '100', 'stair 1 × 100'],
        ['10.01', '400', 'stair 1 × 400'],
        ['1000000', '1000', 'stair 1 × 1000'],
      ],
    )
  })
})
