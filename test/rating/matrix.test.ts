import { describe, expect, it } from 'vitest'
import { answerOf, refusalOf } from './table.ts'

const strict = {
  model: 'matrix',
  dimensions: ['model', 'region'],
  cells: [
    { match: { model: 'large', region: 'eu' }, price: { model: 'unit', unitAmount: '3' } },
    { match: { model: 'large' }, price: { model: 'unit', unitAmount: '2' } },
    { match: { region: 'eu' }, price: { model: 'package', packageSize: '10', amount: '1' } },
  ],
}
const price = { ...strict, otherwise: { model: 'unit', unitAmount: '0.5' } }
const groups = [
  { match: { model: 'large', region: 'eu' }, quantity: '1' },
  { match: { model: 'large', region: 'us' }, quantity: '10' },
  { match: { model: 'small', region: 'eu' }, quantity: '11' },
  { match: { model: 'small', region: 'us' }, quantity: '100' },
]

describe('a matrix price', () => {
  it('prices each group by the first cell that matches it, else otherwise', () => {
    const answer = answerOf({ price, groups })
    expect(answer.lines.map(({ description, amount }) => [description, amount])).toEqual([
      ['model large, region eu: 1 unit at 3', '3'],
      ['model large, region us: 10 units at 2', '20'],
      ['model small, region eu: 2 packages of 10 at 1', '2'],
      ['model small, region us: 100 units at 0.5', '50'],
    ])
    expect(answer.amount).toBe('75.00')
  })

  it('has discounts and bounds on all of it together; free units go to the groups in their order', () => {
    const answer = answerOf({ price, groups, discounts: [{ usage: '6' }, { percent: '50' }], maximum: '30' })
    expect(answer.lines.map(({ kind, amount }) => [kind, amount])).toEqual([
      ['usageDiscount', '0'],
      ['usageDiscount', '0'],
      ['usage', '10'],
      ['packages', '2'],
      ['usage', '50'],
      ['percentDiscount', '-31'],
      ['maximum', '-1'],
    ])
  })

  it('bills the part of each group after an earlier part', () => {
    const parts = groups.map((group) => ({ ...group, previousQuantity: '5' }))
    expect(answerOf({ price, groups: parts }).amount).toBe('74.00')
  })

  it('refuses a group that nothing matches, and what is not of its dimensions', () => {
    expect(refusalOf({ price: strict, groups, quantity: '122' })).toEqual({
      code: 'unmatchedGroup',
      pointer: '/groups/3/match',
    })
    expect(
      refusalOf({
        price: { ...price, cells: [{ match: { size: 'x' }, price: price.otherwise }] },
        groups,
        quantity: '122',
      }),
    ).toEqual({
      code: 'invalidRequest',
      pointer: '/price/cells/0/match/size',
    })
    expect(refusalOf({ price, groups, quantity: '121' })).toEqual({
      code: 'invalidRequest',
      pointer: '/quantity',
    })
    expect(refusalOf({ price })).toEqual({ code: 'invalidRequest', pointer: '/groups' })
    expect(refusalOf({ price: price.otherwise, groups })).toEqual({
      code: 'invalidRequest',
      pointer: '/groups',
    })
  })

  it('does not take members of every object for values', () => {
    const odd = [{ match: { model: 'x', region: 'y' }, quantity: '1' }]
    const cells = [{ match: { model: 'large' }, price: price.otherwise }]
    expect(
      refusalOf({ price: { model: 'matrix', dimensions: ['model', 'region'], cells }, groups: odd }),
    ).toMatchObject({
      code: 'unmatchedGroup',
    })
  })
})
