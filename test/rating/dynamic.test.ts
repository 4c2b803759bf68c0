import { describe, it } from 'vitest'
import { expectRows } from './table.ts'

describe('a dynamic price', () => {
  it('is a margin on a quantity that is an amount already', () => {
    expectRows({ model: 'dynamic', multiplier: '1.2' }, [
      ['0', '0'],
      ['0.402', '0.4824', 'dynamic 0.402 × 1.2'],
    ])
  })
})
