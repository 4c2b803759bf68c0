import { describe, expect, it } from 'vitest'
import { answerOf, expectRows, lineTexts, refusalOf } from './table.ts'

const unit = { model: 'unit', unitAmount: '1' }
const amount = (request: object): string => answerOf({ price: unit, ...request }).amount

describe('what stands around a price', () => {
  it('I10: comes in one order: conversion, free units, price, discounts, commitment, maximum, minimum', () => {
    const answer = answerOf({
      quantity: '2500',
      price: { model: 'unit', unitAmount: '10' },
      unitConversion: { operation: 'divide', factor: '1000', rounding: 'ceiling' },
      discounts: [{ amount: '5' }, { percent: '50' }, { usage: '1' }],
      commitment: { amount: '5', overageFactor: '2' },
      maximum: '9',
      minimum: '8.5',
    })
    // 2500 → 3 begun thousands, 1 of them free, 2 × 10 = 20, less 5, less half = 7.5; 2.5 beyond 5 at double = 10; at most 9.
    expect(lineTexts(answer)).toEqual([
      'usageDiscount 1 × 0',
      'usage 2 × 10',
      'amountDiscount 1 × -5',
      'percentDiscount 15 × -0.5',
      'overage 2.5 × 1',
      'maximum 1 × -1',
    ])
    expect(answer.amount).toBe('9.00')
  })

  it('takes discounts in the order they are listed, each from what is left', () => {
    expect(amount({ quantity: '100', discounts: [{ percent: '15' }, { percent: '20' }] })).toBe('68.00')
    expect(amount({ quantity: '100', discounts: [{ amount: '10' }, { percent: '20' }] })).toBe('72.00')
    expect(amount({ quantity: '100', discounts: [{ percent: '20' }, { amount: '10' }] })).toBe('70.00')
    expect(amount({ quantity: '10', discounts: [{ amount: '25' }] })).toBe('0.00')
    expect(amount({ quantity: '10', discounts: [{ percent: '100' }] })).toBe('0.00')
  })

  it('consumes free units from the start of the period, over all of its parts', () => {
    const discounts = [{ usage: '10' }]
    expectRows(unit, [['15', '15', 'usage 15 × 1']], { discounts, previousQuantity: '20' })
    expectRows(unit, [['15', '8', 'usageDiscount 7 × 0', 'usage 8 × 1']], {
      discounts,
      previousQuantity: '3',
    })
    expectRows(unit, [['4', '0', 'usageDiscount 4 × 0']], { discounts })
  })

  it('holds bounds over all parts of a period', () => {
    expect(amount({ quantity: '10', previousQuantity: '95', maximum: '100' })).toBe('5.00')
    expect(amount({ quantity: '10', previousQuantity: '200', maximum: '100' })).toBe('0.00')
    expect(amount({ quantity: '1', minimum: '50', part: 'open' })).toBe('1.00')
    expect(amount({ quantity: '1', previousQuantity: '1', minimum: '50', part: 'closing' })).toBe('49.00')
    expect(amount({ quantity: '0', minimum: '50' })).toBe('50.00')
  })

  it('charges what goes beyond a commitment at its own rate, and what is missing at the end of the period', () => {
    const commitment = { amount: '100', overageFactor: '1.5', trueUp: true }
    expect(amount({ quantity: '120', commitment })).toBe('130.00')
    expect(amount({ quantity: '30', commitment })).toBe('100.00')
    expect(amount({ quantity: '30', commitment: { amount: '100' } })).toBe('30.00')
    expect(amount({ quantity: '30', commitment, part: 'open' })).toBe('30.00')
    expect(amount({ quantity: '20', previousQuantity: '30', commitment, part: 'closing' })).toBe('70.00')
    expect(amount({ quantity: '20', previousQuantity: '90', commitment, part: 'open' })).toBe('25.00')
  })

  it('converts units before pricing: to GiB, up, down or as they are', () => {
    const of = (rounding: string | undefined, quantity: string): string =>
      answerOf({
        quantity,
        price: unit,
        unitConversion: {
          operation: 'divide',
          factor: '1073741824',
          ...(rounding === undefined ? {} : { rounding }),
        },
      }).exactAmount
    expect(of(undefined, '1610612736')).toBe('1.5')
    expect(of('ceiling', '1073741825')).toBe('2')
    expect(of('floor', '2147483647')).toBe('1')
    expect(of('halfUp', '1610612736')).toBe('2')
    expect(
      answerOf({ quantity: '3', price: unit, unitConversion: { operation: 'multiply', factor: '0.001' } })
        .exactAmount,
    ).toBe('0.003')
  })

  it('takes null for absent', () => {
    const nothing = {
      discounts: null,
      minimum: null,
      maximum: null,
      previousQuantity: null,
      groups: null,
      part: null,
    }
    expect(amount({ quantity: '3', ...nothing, commitment: null, events: null, proration: null })).toBe(
      '3.00',
    )
  })

  it('I9: refuses what it does not know, by a pointer', () => {
    const of = (parts: object): object => refusalOf({ price: unit, ...parts })
    expect(of({ discounts: [{ percent: '100.01' }] })).toMatchObject({ pointer: '/discounts/0/percent' })
    expect(of({ discounts: [{ percent: '1', amount: '1' }] })).toMatchObject({ pointer: '/discounts/0' })
    expect(of({ discounts: { percent: '1' } })).toMatchObject({ pointer: '/discounts' })
    // A request is about one period: how long a discount holds is for a plan to say.
    expect(of({ discounts: [{ percent: '1', periods: 3 }] })).toMatchObject({
      pointer: '/discounts/0/periods',
    })
    expect(of({ minimum: '2', maximum: '1' })).toMatchObject({ pointer: '/minimum' })
    expect(of({ commitment: { amount: '1', overage: '2' } })).toMatchObject({
      pointer: '/commitment/overage',
    })
    expect(of({ proration: 'weeks' })).toMatchObject({ pointer: '/proration' })
    expect(of({ unitConversion: { operation: 'divide', factor: '0' } })).toMatchObject({
      pointer: '/unitConversion/factor',
    })
    expect(of({ unitConversion: { operation: 'divide', factor: '2', digits: 19 } })).toMatchObject({
      pointer: '/unitConversion/digits',
    })
    expect(of({ discont: [] })).toEqual({ code: 'invalidRequest', pointer: '/discont' })
    expect(of({ currency: 'usd' })).toEqual({ code: 'unknownCurrency', pointer: '/currency' })
    expect(of({ currency: 'XXX' })).toEqual({ code: 'unknownCurrency', pointer: '/currency' })
    expect(of({ price: { model: 'auction' } })).toEqual({ code: 'unknownModel', pointer: '/price/model' })
    expect(of({ price: null })).toMatchObject({ pointer: '/price' })
    expect(of({ part: 'second' })).toMatchObject({ pointer: '/part' })
    expect(of({ payment: 'later' })).toMatchObject({ pointer: '/payment' })
    expect(of({ id: {} })).toMatchObject({ pointer: '/id' })
  })
})

describe('the explanation', () => {
  it('I7: names every step, and how the sum was rounded', () => {
    const { explanation } = answerOf({
      quantity: '8',
      price: {
        model: 'graduated',
        tiers: [
          { upTo: '5', unitAmount: '0.333' },
          { upTo: null, unitAmount: '0.1', flatAmount: '1' },
        ],
      },
      discounts: [{ percent: '10' }],
      commitment: { amount: '2', overageFactor: '1.5' },
      maximum: '2.5',
    })
    expect(explanation).toBe(
      'tier 1 (to 5): 5 units at 0.333 = 1.665; tier 2 (above 5): 3 units at 0.1 = 0.3; ' +
        'tier 2 (above 5): flat amount = 1; discount of 10 % on 2.965 = -0.2965; ' +
        '0.6685 beyond the commitment of 2, at 1.5 times the price = 0.33425; ' +
        'down to the maximum of 2.5 = -0.50275; total 2.50 USD',
    )
  })

  it('I7: tells the parts of a period apart', () => {
    const { explanation } = answerOf({
      quantity: '1',
      previousQuantity: '1',
      price: { model: 'unit', unitAmount: '0.005' },
    })
    expect(explanation).toBe(
      '1 unit at 0.005 = 0.005; 0.00 USD is what the period comes to now less 0.01 of its earlier parts, each rounded half away from zero',
    )
  })
})
