import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { add, type Decimal, decimal, fromBigInt, isNegative, toText, ZERO } from '../../src/money/decimal.ts'
import { quantityInTier, tierReached } from '../../src/rating/tiers.ts'

const tiers = ['5', '7.5', null].map((upTo) => ({ upTo: upTo === null ? null : decimal(upTo) }))

describe('tiers', () => {
  it('I8: are reached by what goes beyond the end before, and closed by their own end', () => {
    const reached = (quantity: string): number => tierReached(tiers, decimal(quantity)).number
    expect(['0', '5', '5.000000001', '7.5', '7.51', '1000'].map(reached)).toEqual([1, 1, 2, 2, 3, 3])
    expect(tierReached(tiers, decimal('6')).tier).toBe(tiers[1])
  })

  it('I8: cut a quantity into parts that add up to it, none below zero', () => {
    const ends = fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { maxLength: 8 })
    fc.assert(
      fc.property(ends, fc.integer({ min: 1, max: 1200 }), (given, units) => {
        const upTos = given.sort((a, b) => a - b).map((end): Decimal | null => fromBigInt(BigInt(end)))
        const cut = [...upTos, null].map((upTo) => ({ upTo }))
        const quantity = fromBigInt(BigInt(units))
        const { number: reached } = tierReached(cut, quantity)
        const parts = Array.from({ length: reached }, (_, i) => quantityInTier(cut, i + 1, reached, quantity))
        expect(toText(parts.reduce(add, ZERO))).toBe(String(units))
        expect(parts.some((part) => isNegative(part) || part.coefficient === 0n)).toBe(false)
      }),
    )
  })

  it('must have a last one without an end, and ends before it', () => {
    expect(() => tierReached([], decimal('1'))).toThrow(RangeError)
    expect(() => tierReached([{ upTo: decimal('5') }], decimal('6'))).toThrow('the last tier')
    expect(tierReached([{ upTo: decimal('5') }], decimal('5')).number).toBe(1)
    expect(() => quantityInTier([{ upTo: null }, { upTo: null }], 1, 2, decimal('6'))).toThrow(
      'before the last',
    )
    expect(() => quantityInTier([], 2, 2, decimal('6'))).toThrow(RangeError)
  })
})
