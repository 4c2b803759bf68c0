import type { UnitConversion } from '../catalog/price.ts'
import { type Decimal, divide, multiply, round, type RoundingMode } from '../money/decimal.ts'

/** Digits that a quotient without rounding keeps: 3 does not divide 1, and 18 digits are finer than any unit price. */
const quotientDigits = 18

const MODES = {
  ceiling: 'ceiling',
  floor: 'floor',
  halfUp: 'halfUp',
} as const satisfies Record<Exclude<UnitConversion['rounding'], 'none'>, RoundingMode>

/** A quantity in the unit that is sold. */
export function convertUnits(conversion: UnitConversion, quantity: Decimal): Decimal {
  const { operation, factor, rounding, digits } = conversion
  if (rounding === 'none') {
    return operation === 'multiply' ? multiply(quantity, factor) : divide(quantity, factor, quotientDigits)
  }
  return operation === 'multiply'
    ? round(multiply(quantity, factor), digits, MODES[rounding])
    : divide(quantity, factor, digits, MODES[rounding])
}
