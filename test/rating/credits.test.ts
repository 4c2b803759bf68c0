import { describe, expect, it } from 'vitest'
import type { SimplePrice } from '../../src/catalog/price.ts'
import { type Currency, parseCurrency } from '../../src/money/currency.ts'
import { decimal, toText } from '../../src/money/decimal.ts'
import { rate } from '../../src/rating/rate.ts'
import { bareTerms } from './arbitraries.ts'

const USD = parseCurrency('USD') as Currency

function lines(price: SimplePrice, quantity: string): string[] {
  const outcome = rate({ ...bareTerms(price), currency: USD, quantity: decimal(quantity) })
  if (outcome.kind === 'refused') throw new Error(outcome.error.detail)
  return [...outcome.lines.map(({ kind, amount }) => `${kind} ${toText(amount)}`), toText(outcome.amount)]
}

const tier = { upTo: null, unitAmount: decimal('2'), flatAmount: decimal('5'), packageSize: null }

describe('a period in which more was taken back than used', () => {
  it('I6: credits units as they would be charged, and flat amounts not', () => {
    const flags = { tiers: [tier], flatFeeOnZeroUsage: true }
    expect(lines({ model: 'graduated', ...flags }, '-3')).toEqual(['tierUsage -6', '-6'])
    expect(lines({ model: 'volume', ...flags }, '-3')).toEqual(['volumeUsage -6', '-6'])
    expect(lines({ model: 'stairstep', tiers: [{ upTo: null, amount: decimal('9') }] }, '-3')).toEqual(['0'])
    expect(lines({ model: 'dynamic', multiplier: decimal('1.5') }, '-3')).toEqual(['dynamic -4.5', '-4.5'])
  })

  it('leaves a flat price as it is', () => {
    expect(lines({ model: 'flat', amount: decimal('20') }, '-3')).toEqual(['flat 20', '20'])
  })
})
