import type { Currency } from '../money/currency.ts'
import { type Decimal, isZero, minimum, subtract, ZERO } from '../money/decimal.ts'

/** Prepaid money. It pays what is due, after tax; it does not lower the price. */
export interface Wallet {
  readonly id: string
  readonly balance: Decimal
  readonly currency: Currency
  /** The lower number pays first; equal ones in their order. */
  readonly priority: number
  /** Kinds of dues that it may pay; null for all. */
  readonly pays: ReadonlySet<string> | null
}

/** A part of an invoice, tax included. */
export interface AmountDue {
  readonly kind: string
  readonly amount: Decimal
}

/**
 * Pays dues from wallets of their currency. A wallet never pays more than it has, nor more than is due.
 * @returns what each wallet pays, wallets that pay nothing left out, and what stays due
 */
export function payFromWallets(
  wallets: readonly Wallet[],
  dues: readonly AmountDue[],
  currency: Currency,
): { readonly payments: ReadonlyMap<string, Decimal>; readonly left: readonly AmountDue[] } {
  const order = wallets
    .map((wallet, index) => ({ wallet, index }))
    .filter(({ wallet }) => wallet.currency === currency)
    .sort((a, b) => a.wallet.priority - b.wallet.priority || a.index - b.index)
  const payments = new Map<string, Decimal>()
  let left = [...dues]
  for (const { wallet } of order) {
    let balance = wallet.balance
    left = left.map((due) => {
      if (wallet.pays !== null && !wallet.pays.has(due.kind)) return due
      const paid = minimum(balance, due.amount)
      balance = subtract(balance, paid)
      return { ...due, amount: subtract(due.amount, paid) }
    })
    const paid = subtract(wallet.balance, balance)
    if (!isZero(paid)) payments.set(wallet.id, paid)
  }
  return { payments, left: left.filter(({ amount }) => !isZero(amount)) }
}

/** The most that can be credited: what was paid less what was credited before; never below nothing. */
export function creditable(potential: Decimal, paid: Decimal, creditedBefore: Decimal): Decimal {
  const open = subtract(paid, creditedBefore)
  const capped = minimum(potential, open)
  return capped.coefficient > 0n ? capped : ZERO
}
