import { describe, expect, it } from 'vitest'
import { answerOf, expectRows, refusalOf } from './table.ts'

const price = { model: 'percentage', rate: '1.3', fixedAmount: '2' }
const exact = (request: object): string => answerOf(request).exactAmount

describe('a percentage price', () => {
  it('is a share of an amount of money and an amount for each event', () => {
    expectRows(price, [
      ['0', '0'],
      ['800', '12.4', 'percentage 800 × 0.013', 'perEvent 1 × 2'],
    ])
    expectRows(price, [['800', '18.4', 'percentage 800 × 0.013', 'perEvent 4 × 2']], { eventCount: 4 })
  })

  it('has a free part that is consumed in the order of the events', () => {
    const events = ['50', '100', '250', '400']
    const of = (more: object): string => exact({ price: { ...price, ...more }, quantity: '800', events })
    expect(of({ freeUnits: '250' })).toBe('11.15')
    expect(of({ freeEvents: 3 })).toBe('7.2')
    expect(of({ freeUnits: '500', freeEvents: 3 })).toBe('7.2')
  })

  it('bounds what one event costs, its fixed amount included', () => {
    const events = ['10', '80', '10000']
    const of = (more: object): string =>
      exact({
        price: { model: 'percentage', rate: '2.99', perEvent: { min: '1.75', max: '12' }, ...more },
        quantity: '10090',
        events,
      })
    expect(of({})).toBe('16.142')
    expect(of({ fixedAmount: '2' })).toBe('18.691')
    expect(of({ freeEvents: 2 })).toBe('12')
  })

  it('refuses bounds out of order, and events beside an earlier part', () => {
    expect(refusalOf({ price: { ...price, perEvent: { min: '2', max: '1' } } })).toEqual({
      code: 'invalidRequest',
      pointer: '/price/perEvent/min',
    })
    expect(refusalOf({ price, events: ['1'], previousQuantity: '1' })).toEqual({
      code: 'invalidRequest',
      pointer: '/previousQuantity',
    })
  })
})
