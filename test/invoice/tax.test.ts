import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { creditShare, taxExclusive, taxInclusive } from '../../src/invoice/tax.ts'
import { add, compare, type Decimal, decimal, toText, ZERO } from '../../src/money/decimal.ts'
import { rational } from '../../src/money/rational.ts'

const texts = (amounts: readonly Decimal[]): string[] => amounts.map(toText)
const taxed = (...lines: readonly (readonly [amount: string, ...rates: string[]])[]) =>
  lines.map(([amount, ...rates]) => ({ amount: decimal(amount), rates: rates.map(decimal) }))

describe('tax on amounts without it', () => {
  it('is rounded once for each rate, or on each line: a third of 100 three times shows the difference', () => {
    const lines = taxed(['33.33', '0.19'], ['33.33', '0.19'], ['33.34', '0.19'])
    expect(toText(taxExclusive(lines, 'group', 2).total)).toBe('19')
    expect(toText(taxExclusive(lines, 'line', 2).total)).toBe('18.99')
  })

  it('adds rates of one line up, and none is taken on another', () => {
    const { byRate, total } = taxExclusive(taxed(['1000', '0.12', '0.05'], ['100', '0.05']), 'group', 2)
    expect(byRate.map(({ rate, base, tax }) => texts([rate, base, tax]))).toEqual([
      ['0.12', '1000', '120'],
      ['0.05', '1100', '55'],
    ])
    expect(toText(total)).toBe('175')
  })

  it('adds up by line and by rate, credits among the lines too', () => {
    const amounts = fc.integer({ min: -100_000, max: 100_000 })
    const rates = fc.subarray(['0.05', '0.07', '0.19'])
    fc.assert(
      fc.property(
        fc.array(fc.tuple(amounts, rates), { maxLength: 8 }),
        fc.constantFrom('group', 'line'),
        (given, rounding) => {
          const lines = given.map(([cents, of]) => ({
            amount: { coefficient: BigInt(cents), scale: 2 },
            rates: of.map(decimal),
          }))
          const { byLine, byRate, total } = taxExclusive(lines, rounding, 2)
          expect(compare(byLine.reduce(add, ZERO), total)).toBe(0)
          expect(compare(byRate.map(({ tax }) => tax).reduce(add, ZERO), total)).toBe(0)
        },
      ),
    )
  })
})

describe('tax within an amount', () => {
  it('leaves a net amount that adds up with it, rounded as its rate wants', () => {
    const of = (gross: string, rate: string, mode: 'halfUp' | 'down', digits: number): string[] => {
      const { net, taxes } = taxInclusive(decimal(gross), [decimal(rate)], digits, mode)
      return texts([net, ...taxes])
    }
    expect(of('1099', '0.1', 'halfUp', 0)).toEqual(['999', '100'])
    expect(of('1099', '0.1', 'down', 0)).toEqual(['1000', '99'])
    const { net, taxes } = taxInclusive(decimal('112.00'), ['0.05', '0.07'].map(decimal), 2)
    expect(texts([net, ...taxes])).toEqual(['100', '5', '7'])
  })
})

describe('a credit of a share', () => {
  it('has the tax of the amount before it is rounded', () => {
    const { net, tax, total } = creditShare(decimal('20000'), rational(29n, 30n), decimal('0.25'), 0)
    expect(texts([net, tax, total])).toEqual(['19333', '4833', '24166'])
  })
})
