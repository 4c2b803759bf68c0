import type { Discount } from '../catalog/price.ts'
import { allocate, takeInOrder } from '../money/allocate.ts'
import { add, type Decimal, isZero, minimum, negate, round, subtract, ZERO } from '../money/decimal.ts'
import { discountLines } from '../rating/discounts.ts'

/** A line before discounts and the discounts of its own. */
export interface DiscountableLine {
  readonly amount: Decimal
  readonly discounts: readonly Discount[]
}

export interface DiscountedTotal {
  readonly subtotal: Decimal
  readonly discount: Decimal
  /** Each line after its own discounts and its share of the invoice's: what tax is taken on. */
  readonly taxable: readonly Decimal[]
  /** What prepaid credits pay. */
  readonly credits: Decimal
  readonly total: Decimal
}

/**
 * Line discounts, then invoice discounts on what they left, then prepaid credits as a payment. Each discount is rounded
 * once; an invoice discount is shared out to the lines by largest remainder. Nothing goes below zero.
 */
export function discountedTotal(
  lines: readonly DiscountableLine[],
  invoiceDiscounts: readonly Discount[],
  credits: readonly Decimal[],
  digits: number,
): DiscountedTotal {
  const subtotal = sum(lines.map(({ amount }) => amount))
  const ofLines = lines.map(({ amount, discounts }) => subtract(amount, reduction(discounts, amount, digits)))
  const afterLines = sum(ofLines)
  const ofInvoice = reduction(invoiceDiscounts, afterLines, digits)
  const taxable = withoutShare(ofLines, ofInvoice, digits)
  const due = sum(taxable)
  const { paid, due: total } = payWith(credits, due)
  return { subtotal, discount: subtract(subtotal, due), taxable, credits: sum(paid), total }
}

/** Takes a discount off the lines by what they are; at most everything. */
export function withoutShare(lines: readonly Decimal[], discount: Decimal, digits: number): Decimal[] {
  const whole = sum(lines)
  if (isZero(whole)) return [...lines]
  const shares = allocate(minimum(discount, whole), lines, digits)
  return lines.map((line, i) => subtract(line, shares[i] ?? ZERO))
}

/** Pays an amount with credits in their order: what each pays, and what stays due. */
export function payWith(
  credits: readonly Decimal[],
  due: Decimal,
): { readonly paid: readonly Decimal[]; readonly due: Decimal } {
  const { taken, left } = takeInOrder(due, credits)
  return { paid: taken, due: left }
}

function reduction(discounts: readonly Discount[], amount: Decimal, digits: number): Decimal {
  return round(negate(sum(discountLines(discounts, amount).map((line) => line.amount))), digits)
}

function sum(amounts: readonly Decimal[]): Decimal {
  return amounts.reduce(add, ZERO)
}
