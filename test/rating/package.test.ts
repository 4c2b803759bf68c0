import { describe, expect, it } from 'vitest'
import { answerOf, expectRows, refusalOf } from './table.ts'

const price = { model: 'package', packageSize: '10', amount: '100', freeUnits: '20' }

describe('a package price', () => {
  it('charges each begun package of what goes beyond the free units', () => {
    expectRows(price, [
      ['20', '0'],
      ['20.000000001', '100', 'packages 1 × 100'],
      ['30', '100', 'packages 1 × 100'],
      ['141', '1300', 'packages 13 × 100'],
    ])
  })

  it('bills the difference of the packages that were begun', () => {
    expect(answerOf({ price, quantity: '4', previousQuantity: '25' }).amount).toBe('0.00')
    expect(answerOf({ price, quantity: '6', previousQuantity: '25' }).amount).toBe('100.00')
  })

  it('may have a size that is no whole number', () => {
    expectRows({ model: 'package', packageSize: '0.3', amount: '1' }, [
      ['0.9', '3', 'packages 3 × 1'],
      ['0.91', '4', 'packages 4 × 1'],
    ])
  })

  it('needs a size above 0', () => {
    expect(refusalOf({ price: { ...price, packageSize: '0' } })).toEqual({
      code: 'invalidRequest',
      pointer: '/price/packageSize',
    })
  })
})
