import {
  add,
  compare,
  type Decimal,
  minimum,
  multiply,
  fromBigInt,
  divide,
  subtract,
  ZERO,
} from '../money/decimal.ts'

/** Amounts at which usage is billed before its period ends. */
export interface Thresholds {
  /** Rising. */
  readonly amounts: readonly Decimal[]
  /** Beyond the last: again after each such step; null for never. */
  readonly step: Decimal | null
}

/**
 * What is billed when usage has reached an amount within a period: all that is not billed yet, once a threshold is crossed
 * that was not reached at the last bill. Several thresholds crossed at once make one bill.
 * @returns null when no threshold is crossed
 */
export function thresholdBill(thresholds: Thresholds, reached: Decimal, billed: Decimal): Decimal | null {
  const next = nextThreshold(thresholds, billed)
  return next === null || compare(reached, next) < 0 ? null : subtract(reached, billed)
}

/** The lowest threshold above what was billed; null when there is none. */
export function nextThreshold({ amounts, step }: Thresholds, billed: Decimal): Decimal | null {
  const listed = amounts.find((amount) => compare(amount, billed) > 0)
  if (listed !== undefined) return listed
  if (step === null) return null
  const last = amounts.at(-1) ?? ZERO
  const passed = divide(subtract(billed, last), step, 0, 'floor')
  return add(last, multiply(step, add(passed, fromBigInt(1n))))
}

/** What the invoice at the end of the period takes off for earlier bills: of each charge at most the charge itself. */
export function progressiveCredits(charges: readonly Decimal[], billed: readonly Decimal[]): Decimal[] {
  return charges.map((charge, i) => minimum(charge, billed[i] ?? ZERO))
}
