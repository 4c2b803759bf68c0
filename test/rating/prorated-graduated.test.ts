import { describe, expect, it } from 'vitest'
import { decimal } from '../../src/money/decimal.ts'
import { rational } from '../../src/money/rational.ts'
import { type Movement, rateProratedGraduated } from '../../src/rating/prorated-graduated.ts'

const price = {
  model: 'graduated',
  flatFeeOnZeroUsage: true,
  tiers: [
    { upTo: decimal('5'), unitAmount: decimal('10'), flatAmount: decimal('100'), packageSize: null },
    { upTo: null, unitAmount: decimal('5'), flatAmount: decimal('50'), packageSize: null },
  ],
} as const

function moved(...of: readonly (readonly [units: string, charged: string])[]): Movement[] {
  return of.map(([units, charged]) => ({ units: decimal(units), charged: decimal(charged) }))
}

describe('graduated units that are held for a part of the period', () => {
  it('are charged for their share, each in the span of the level that it takes up', () => {
    // 4 units for half the period, then 2 more of which one is in the second tier, for a quarter.
    const { exact } = rateProratedGraduated(price, moved(['4', '2'], ['2', '0.5']))
    expect(exact).toEqual(rational(1n * 20n * 8n + 30n + 1200n, 8n)) // 20 + 3.75 + 150
  })

  it('are credited from the top when they are taken away', () => {
    const { exact, level } = rateProratedGraduated(price, moved(['7', '7'], ['-2', '-1'], ['-1', '-0.5']))
    expect(exact).toEqual(rational(200n, 1n)) // 60 - 5 - 5 + 150
    expect(level).toEqual(decimal('4'))
  })

  it('owe nothing below zero, and carry the level over', () => {
    const first = rateProratedGraduated(price, moved(['-3', '-3']))
    expect(first.exact).toEqual(rational(0n, 1n))
    expect(rateProratedGraduated(price, moved(['4', '4']), first.level).level).toEqual(decimal('1'))
  })

  it('leave out a movement of nothing', () => {
    expect(rateProratedGraduated(price, moved(['0', '0'])).exact).toEqual(rational(100n, 1n))
  })
})
