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

/** A discount on an invoice, or on some of its lines. */
export interface InvoiceDiscount {
  readonly discount: Discount
  /** Positions of the lines that it may reduce; null for all. */
  readonly lines: readonly number[] | null
}

/**
 * Line discounts, then invoice discounts on what they left, then prepaid credits as a payment. Each discount is rounded
 * once; an invoice discount is shared out to its lines by largest remainder. Nothing goes below zero.
 */
export function discountedTotal(
  lines: readonly DiscountableLine[],
  invoiceDiscounts: readonly InvoiceDiscount[],
  credits: readonly Decimal[],
  digits: number,
): DiscountedTotal {
  const subtotal = sum(lines.map(({ amount }) => amount))
  let taxable = lines.map(({ amount, discounts }) =>
    discounts.reduce((left, discount) => subtract(left, reduction(discount, left, digits)), amount),
  )
  for (const discount of invoiceDiscounts) taxable = takeDiscount(taxable, discount, digits)
  const due = sum(taxable)
  const { paid, due: total } = payWith(credits, due)
  return { subtotal, discount: subtract(subtotal, due), taxable, credits: sum(paid), total }
}

/** What is left of the lines after a discount: it takes at most what its lines still are. */
export function takeDiscount(
  lines: readonly Decimal[],
  { discount, lines: positions }: InvoiceDiscount,
  digits: number,
): Decimal[] {
  const reduced = lines.map((amount, i) => (positions === null || positions.includes(i) ? amount : ZERO))
  const left = withoutShare(reduced, reduction(discount, sum(reduced), digits), digits)
  return lines.map((amount, i) => (positions === null || positions.includes(i) ? (left[i] ?? ZERO) : amount))
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

function reduction(discount: Discount, amount: Decimal, digits: number): Decimal {
  return round(negate(sum(discountLines([discount], amount).map((line) => line.amount))), digits)
}

function sum(amounts: readonly Decimal[]): Decimal {
  return amounts.reduce(add, ZERO)
}
