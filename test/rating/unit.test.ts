import { describe, expect, it } from 'vitest'
import { answerOf, expectRows, refusalOf } from './table.ts'

describe('a unit price', () => {
  it('charges every unit alike, fractions too; nothing used makes no line', () => {
    expectRows({ model: 'unit', unitAmount: '0.0000025' }, [
      ['0', '0'],
      ['0.000000001', '0.0000000000000025', 'usage 0.000000001 × 0.0000025'],
      ['1000000000000.123456789', '2500000.0000003086419725', 'usage 1000000000000.123456789 × 0.0000025'],
    ])
  })

  it('is rounded once, half away from zero, in the digits of the currency', () => {
    const amount = (currency: string, quantity: string): string =>
      answerOf({ currency, quantity, price: { model: 'unit', unitAmount: '0.5' } }).amount
    expect(amount('JPY', '1')).toBe('1')
    expect(amount('JPY', '0.9')).toBe('0')
    expect(amount('KWD', '0.001')).toBe('0.001')
    expect(amount('USD', '0.01')).toBe('0.01')
  })

  it('I9: reads 38 digits and refuses 39', () => {
    const digits = '9'.repeat(38)
    expect(answerOf({ quantity: digits, price: { model: 'unit', unitAmount: digits } }).exactAmount).toBe(
      (BigInt(digits) * BigInt(digits)).toString(),
    )
    expect(refusalOf({ quantity: `${digits}9`, price: { model: 'unit', unitAmount: '1' } })).toEqual({
      code: 'tooManyDigits',
      pointer: '/quantity',
    })
    expect(refusalOf({ price: { model: 'unit', unitAmount: `0.${digits}9` } })).toEqual({
      code: 'tooManyDigits',
      pointer: '/price/unitAmount',
    })
  })

  it.each(['', ' 1', '1 ', '+1', '.5', '5.', '1e3', '0x10', '1,000', 'NaN', 'Infinity', '１'])(
    'I9: refuses %j as a decimal, and never guesses',
    (quantity) => {
      expect(refusalOf({ quantity, price: { model: 'unit', unitAmount: '1' } })).toEqual({
        code: 'malformedDecimal',
        pointer: '/quantity',
      })
    },
  )

  it('I9: refuses what is below zero', () => {
    expect(refusalOf({ quantity: '-1', price: { model: 'unit', unitAmount: '1' } })).toMatchObject({
      code: 'negativeDecimal',
    })
    expect(refusalOf({ price: { model: 'unit', unitAmount: '-0.01' } })).toEqual({
      code: 'negativeDecimal',
      pointer: '/price/unitAmount',
    })
  })
})
