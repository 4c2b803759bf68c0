import { allocate, takeInOrder } from '../money/allocate.ts'
import { type Currency, minorUnitDigits, roundToMinorUnit } from '../money/currency.ts'
import { add, type Decimal, isNegative, isZero, negate, subtract, ZERO } from '../money/decimal.ts'
import type { Rated, RatedLine } from './rating-outcome.ts'

type ReductionKind = 'percentDiscount' | 'amountDiscount' | 'maximum'

/** A charge with the reductions that fall on it. Amounts are in the currency's minor unit. */
export interface Item {
  readonly line: RatedLine
  /** Before reductions. */
  readonly amount: Decimal
  /** 0 or more where they reduce. */
  readonly reductions: readonly { readonly kind: ReductionKind; readonly amount: Decimal }[]
  /** What each credit paid of it, by the order of the credits; those that paid nothing are left out. */
  readonly credits: readonly Decimal[]
  /** What is left to pay. */
  readonly total: Decimal
}

export interface Itemised {
  readonly items: readonly Item[]
  /** What no item could use. */
  readonly creditsLeft: Decimal
}

/**
 * A rated amount as items that add up to it to the cent. Percent and amount discounts are shared out over the charges by
 * what is left of them, the maximum is filled up charge by charge in their order, and credits pay items in their order:
 * a credit is a payment, so it may pay for a minimum, too.
 */
export function itemise(rated: Rated, currency: Currency, credits: readonly Decimal[] = []): Itemised {
  const items: MutableItem[] = []
  let exact = rated.previousExactAmount ?? ZERO
  for (const line of rated.lines) {
    const before = roundToMinorUnit(exact, currency)
    exact = add(exact, line.amount)
    const amount = subtract(roundToMinorUnit(exact, currency), before)
    switch (line.kind) {
      case 'usageDiscount':
        break
      case 'percentDiscount':
      case 'amountDiscount':
      case 'maximum':
        reduce(items, line, line.kind, negate(amount), currency)
        break
      default:
        items.push({ line, amount, reductions: [], credits: [], total: amount })
    }
  }
  return { items, creditsLeft: payWithCredits(items, credits) }
}

interface MutableItem extends Item {
  readonly reductions: { readonly kind: ReductionKind; readonly amount: Decimal }[]
  readonly credits: Decimal[]
  total: Decimal
}

function reduce(
  items: MutableItem[],
  line: RatedLine,
  kind: ReductionKind,
  amount: Decimal,
  currency: Currency,
): void {
  const totals = items.map((item) => item.total)
  const sum = totals.reduce(add, ZERO)
  const kept = subtract(sum, amount)
  if (totals.some(isNegative) || isNegative(amount) || isNegative(kept) || isZero(sum)) {
    // Of a difference the reduction may be all that changed: it stands by itself.
    const nothing = roundToMinorUnit(ZERO, currency)
    items.push({ line, amount: nothing, reductions: [{ kind, amount }], credits: [], total: negate(amount) })
    return
  }
  const parts =
    kind === 'maximum'
      ? takeInOrder(kept, totals).taken.map((taken, i) => subtract(totals[i] ?? ZERO, taken))
      : allocate(amount, totals, minorUnitDigits(currency))
  items.forEach((item, i) => {
    const part = parts[i] ?? ZERO
    if (isZero(part)) return
    item.reductions.push({ kind, amount: part })
    item.total = subtract(item.total, part)
  })
}

function payWithCredits(items: readonly MutableItem[], credits: readonly Decimal[]): Decimal {
  let creditsLeft = ZERO
  for (const credit of credits) {
    const payable = items.map((item) => (isNegative(item.total) ? ZERO : item.total))
    const { taken, left } = takeInOrder(credit, payable)
    items.forEach((item, i) => {
      const paid = taken[i] ?? ZERO
      if (isZero(paid)) return
      item.credits.push(paid)
      item.total = subtract(item.total, paid)
    })
    creditsLeft = add(creditsLeft, left)
  }
  return creditsLeft
}
