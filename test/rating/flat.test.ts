import { describe, expect, it } from 'vitest'
import { answerOf, expectRows, refusalOf } from './table.ts'

const price = { model: 'flat', amount: '20.005' }

describe('a flat price', () => {
  it('is its amount, whatever was used, and needs no quantity', () => {
    expectRows(price, [
      ['0', '20.005', 'flat 1 × 20.005'],
      ['1000000', '20.005', 'flat 1 × 20.005'],
    ])
    expect(answerOf({ price }).amount).toBe('20.01')
  })

  it('is due with the first part of a period, or with the last when it is in arrears', () => {
    const part = (parts: object): string => answerOf({ price, quantity: '1', ...parts }).amount
    expect(part({ part: 'open' })).toBe('20.01')
    expect(part({ part: 'open', payment: 'inArrears' })).toBe('0.00')
    expect(part({ part: 'closing', previousQuantity: '1' })).toBe('0.00')
    expect(part({ part: 'closing', previousQuantity: '1', payment: 'inArrears' })).toBe('20.01')
  })

  it('is not lowered by free units', () => {
    expectRows(price, [['5', '20.005', 'flat 1 × 20.005']], { discounts: [{ usage: '5' }] })
  })

  it('needs its amount', () => {
    expect(refusalOf({ price: { model: 'flat' } })).toEqual({
      code: 'invalidRequest',
      pointer: '/price/amount',
    })
  })
})
