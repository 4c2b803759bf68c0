import { describe, expect, it } from 'vitest'
import { type Currency, parseCurrency } from '../../src/money/currency.ts'
import { decimal, toText } from '../../src/money/decimal.ts'
import { creditable, payFromWallets, type Wallet } from '../../src/rating/prepaid.ts'

const EUR = parseCurrency('EUR') as Currency
const USD = parseCurrency('USD') as Currency

function aWallet(id: string, balance: string, parts: Partial<Wallet> = {}): Wallet {
  return { id, balance: decimal(balance), currency: EUR, priority: 0, pays: null, ...parts }
}

function pay(
  wallets: readonly Wallet[],
  ...dues: readonly (readonly [kind: string, amount: string])[]
): object {
  const { payments, left } = payFromWallets(
    wallets,
    dues.map(([kind, amount]) => ({ kind, amount: decimal(amount) })),
    EUR,
  )
  return {
    ...Object.fromEntries([...payments].map(([id, paid]) => [id, toText(paid)])),
    left: left.map(({ kind, amount }) => `${kind} ${toText(amount)}`),
  }
}

describe('prepaid money', () => {
  it('pays by priority, then in the order of the wallets', () => {
    const wallets = [
      aWallet('b', '10', { priority: 2 }),
      aWallet('a', '10', { priority: 1 }),
      aWallet('a2', '10', { priority: 1 }),
    ]
    expect(pay(wallets, ['fee', '15'])).toEqual({ a: '10', a2: '5', left: [] })
    expect(pay(wallets, ['fee', '35'])).toEqual({ a: '10', a2: '10', b: '10', left: ['fee 5'] })
  })

  it('pays only in its currency, and only what it may', () => {
    const usage = aWallet('usage', '10', { pays: new Set(['usage']) })
    expect(pay([usage, aWallet('usd', '10', { currency: USD })], ['fee', '5'], ['usage', '4'])).toEqual({
      usage: '4',
      left: ['fee 5'],
    })
  })

  it('can be given back up to what was paid, less what was given back before', () => {
    const of = (potential: string, paid: string, before: string): string =>
      toText(creditable(decimal(potential), decimal(paid), decimal(before)))
    expect(of('100', '200', '50')).toBe('100')
    expect(of('300', '200', '50')).toBe('150')
    expect(of('100', '200', '250')).toBe('0')
    expect(of('-50', '200', '50')).toBe('0')
  })
})
