import { describe, expect, it } from 'vitest'
import { answerOf, expectRows, lineTexts, refusalOf } from './table.ts'

const tiers = [
  { upTo: '5', unitAmount: '10', flatAmount: '2' },
  { upTo: '7.5', unitAmount: '5', flatAmount: '3' },
  { upTo: null, unitAmount: '1' },
]
const price = { model: 'graduated', tiers }

describe('a graduated price', () => {
  it('I8: charges each unit in its own tier; an end belongs to the tier that it closes, for fractions too', () => {
    expectRows(price, [
      ['5', '52', 'tierUsage 5 × 10', 'tierFlat 1 × 2'],
      ['5.001', '55.005', 'tierUsage 5 × 10', 'tierFlat 1 × 2', 'tierUsage 0.001 × 5', 'tierFlat 1 × 3'],
      ['7.5', '67.5', 'tierUsage 5 × 10', 'tierFlat 1 × 2', 'tierUsage 2.5 × 5', 'tierFlat 1 × 3'],
      [
        '10',
        '70',
        'tierUsage 5 × 10',
        'tierFlat 1 × 2',
        'tierUsage 2.5 × 5',
        'tierFlat 1 × 3',
        'tierUsage 2.5 × 1',
      ],
    ])
  })

  it('charges nothing at zero usage, unless a flag makes the first flat amount due', () => {
    expectRows(price, [['0', '0']])
    expectRows({ ...price, flatFeeOnZeroUsage: true }, [['0', '2', 'tierFlat 1 × 2']])
  })

  it('goes on where the part before it stopped, and charges a flat amount once', () => {
    const later = answerOf({ price, quantity: '3', previousQuantity: '4' })
    expect(lineTexts(later)).toEqual(['tierUsage 1 × 10', 'tierUsage 2 × 5', 'tierFlat 1 × 3'])
    expect(later.amount).toBe('23.00')
  })

  it('charges begun packages in a tier that has them', () => {
    expectRows(
      {
        model: 'graduated',
        tiers: [
          { upTo: '1000', unitAmount: '1', packageSize: '100' },
          { upTo: null, unitAmount: '1', packageSize: '1000' },
        ],
      },
      [['5325', '15', 'tierPackages 10 × 1', 'tierPackages 5 × 1']],
    )
  })

  it('refuses tiers out of order and a last tier with an end, by their pointers', () => {
    const of = (...ends: (string | null)[]): object =>
      refusalOf({ price: { model: 'graduated', tiers: ends.map((upTo) => ({ upTo, unitAmount: '1' })) } })
    expect(of('5', '5', null)).toEqual({ code: 'tiersOutOfOrder', pointer: '/price/tiers/1/upTo' })
    expect(of('5', null, null)).toEqual({ code: 'tiersOutOfOrder', pointer: '/price/tiers/1/upTo' })
    expect(of('0', null)).toEqual({ code: 'tiersOutOfOrder', pointer: '/price/tiers/0/upTo' })
    expect(of('5', '10')).toEqual({ code: 'missingLastTier', pointer: '/price/tiers/1/upTo' })
    expect(of()).toEqual({ code: 'missingLastTier', pointer: '/price/tiers' })
    expect(refusalOf({ price: { model: 'graduated', tiers: [{ unitAmount: '1' }] } })).toEqual({
      code: 'missingLastTier',
      pointer: '/price/tiers/0/upTo',
    })
  })
})
