import { describe, expect, it } from 'vitest'
import { decimal, toFixedText, toText } from '../../src/money/decimal.ts'
import { rational } from '../../src/money/rational.ts'
import { commitmentLeft, commitmentLines, missingToCommitment } from '../../src/rating/commitment.ts'

const commitment = { amount: decimal('100'), overageFactor: decimal('1.5'), trueUp: true }

describe('a commitment', () => {
  it('adds what the overage rate adds beyond it, and what is missing once the period is over', () => {
    const of = (sum: string, closes: boolean, parts: object = {}): string[] =>
      commitmentLines({ ...commitment, ...parts }, decimal(sum), closes).map(
        ({ kind, quantity, unitAmount, amount }) =>
          [kind, ...[quantity, unitAmount, amount].map(toText)].join(' '),
      )
    expect(of('120', true)).toEqual(['overage 20 0.5 10'])
    expect(of('120', false)).toEqual(['overage 20 0.5 10'])
    expect(of('120', true, { overageFactor: decimal('1') })).toEqual(['overage 20 0 0'])
    expect(of('100', true)).toEqual([])
    expect(of('30', true)).toEqual(['trueUp 1 70 70'])
    expect(of('30', false)).toEqual([])
    expect(of('30', true, { trueUp: false })).toEqual([])
  })

  it('through several periods is filled by what was used before', () => {
    const left = (used: string): string => toText(commitmentLeft(commitment, decimal(used)).amount)
    expect([left('0'), left('30'), left('100'), left('130')]).toEqual(['100', '70', '0', '0'])
    expect(commitmentLeft(commitment, decimal('1'))).toMatchObject({
      trueUp: true,
      overageFactor: decimal('1.5'),
    })
  })

  it('of several charges is short of what they come to, each rounded, by the share of the period', () => {
    const missing = (share: readonly [bigint, bigint], ...used: readonly string[]): string =>
      toFixedText(missingToCommitment(decimal('1000'), rational(...share), used.map(decimal), 2))
    expect(missing([1n, 1n], '700')).toBe('300.00')
    expect(missing([15n, 31n], '200')).toBe('283.87')
    expect(missing([1n, 1n], '0.005', '0.005')).toBe('999.98')
    expect(missing([1n, 1n], '1500')).toBe('0.00')
    expect(missing([1n, 1n])).toBe('1000.00')
  })
})
