/** An exact decimal: `coefficient / 10 ** scale`. Values of different scales may be equal; use `compare`. */
export interface Decimal {
  readonly coefficient: bigint
  /** Digits behind the point, 0 or more. */
  readonly scale: number
}

export type DecimalParse =
  | { readonly kind: 'decimal'; readonly value: Decimal }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'tooManyDigits'; readonly digitsMax: number }

export type RoundingMode = 'halfUp' | 'halfEven' | 'halfDown' | 'up' | 'down' | 'ceiling' | 'floor'

/** The most significant digits that are read from outside: what `Decimal(38, s)` of the stores can hold. */
const DIGITS_MAX = 38

export const ZERO: Decimal = { coefficient: 0n, scale: 0 }
export const ONE: Decimal = { coefficient: 1n, scale: 0 }

const PLAIN = /^(-?)(\d+)(?:\.(\d+))?$/

/** Reads plain decimal notation (`-12.50`; no exponent, no sign `+`, no blanks). Never guesses. */
export function parseDecimal(text: string): DecimalParse {
  if (text.length > 100) return { kind: 'tooManyDigits', digitsMax: DIGITS_MAX }
  const m = PLAIN.exec(text)
  if (m === null) return { kind: 'malformed' }
  const whole = m[2] ?? ''
  const fraction = m[3] ?? ''
  const significant = (whole + fraction).replace(/^0+/, '')
  if (significant.length > DIGITS_MAX || fraction.length > DIGITS_MAX) {
    return { kind: 'tooManyDigits', digitsMax: DIGITS_MAX }
  }
  const magnitude = BigInt(whole + fraction)
  return {
    kind: 'decimal',
    value: { coefficient: m[1] === '-' ? -magnitude : magnitude, scale: fraction.length },
  }
}

/** For constants and for text that was checked before. @throws RangeError when it is not a decimal */
export function decimal(text: string): Decimal {
  const parsed = parseDecimal(text)
  if (parsed.kind !== 'decimal') throw new RangeError(`not a decimal: ${text.slice(0, 60)} (${parsed.kind})`)
  return parsed.value
}

export function fromBigInt(value: bigint): Decimal {
  return { coefficient: value, scale: 0 }
}

const POWERS: readonly bigint[] = Array.from({ length: 128 }, (_, n) => 10n ** BigInt(n))
/** 10 ** n for n of 0 or more. */
export function pow10(n: number): bigint {
  return POWERS[n] ?? 10n ** BigInt(n)
}

/** The coefficient at a scale that is at least the value's own. */
function coefficientAt(a: Decimal, scale: number): bigint {
  return a.scale === scale ? a.coefficient : a.coefficient * pow10(scale - a.scale)
}

export function add(a: Decimal, b: Decimal): Decimal {
  const scale = a.scale > b.scale ? a.scale : b.scale
  return { coefficient: coefficientAt(a, scale) + coefficientAt(b, scale), scale }
}

export function subtract(a: Decimal, b: Decimal): Decimal {
  const scale = a.scale > b.scale ? a.scale : b.scale
  return { coefficient: coefficientAt(a, scale) - coefficientAt(b, scale), scale }
}

export function multiply(a: Decimal, b: Decimal): Decimal {
  return { coefficient: a.coefficient * b.coefficient, scale: a.scale + b.scale }
}

export function negate(a: Decimal): Decimal {
  return { coefficient: -a.coefficient, scale: a.scale }
}

export function absolute(a: Decimal): Decimal {
  return a.coefficient < 0n ? negate(a) : a
}

/** Below zero, zero or above zero as a is less than, equal to or greater than b. */
export function compare(a: Decimal, b: Decimal): -1 | 0 | 1 {
  const scale = a.scale > b.scale ? a.scale : b.scale
  const x = coefficientAt(a, scale)
  const y = coefficientAt(b, scale)
  return x < y ? -1 : x > y ? 1 : 0
}

export function isAtMost(a: Decimal, b: Decimal): boolean {
  if (a.scale === b.scale) return a.coefficient <= b.coefficient
  const scale = a.scale > b.scale ? a.scale : b.scale
  return coefficientAt(a, scale) <= coefficientAt(b, scale)
}

export function isZero(a: Decimal): boolean {
  return a.coefficient === 0n
}

export function isNegative(a: Decimal): boolean {
  return a.coefficient < 0n
}

export function minimum(a: Decimal, b: Decimal): Decimal {
  return compare(a, b) <= 0 ? a : b
}

export function maximum(a: Decimal, b: Decimal): Decimal {
  return compare(a, b) >= 0 ? a : b
}

/** `numerator / denominator` rounded to a whole number. The denominator must not be zero. */
export function divideRounded(numerator: bigint, denominator: bigint, mode: RoundingMode): bigint {
  if (denominator === 0n) throw new RangeError('division by zero')
  if (denominator < 0n) return divideRounded(-numerator, -denominator, mode)
  if (mode === 'halfUp') {
    // One division instead of quotient and remainder: this is what every line is rounded by.
    const twice = numerator << 1n
    return (numerator < 0n ? twice - denominator : twice + denominator) / (denominator << 1n)
  }
  const quotient = numerator / denominator
  const remainder = numerator % denominator
  if (remainder === 0n) return quotient
  const away = numerator < 0n ? -1n : 1n
  const twice = (remainder < 0n ? -remainder : remainder) * 2n
  switch (mode) {
    case 'halfDown':
      return twice > denominator ? quotient + away : quotient
    case 'halfEven':
      return twice > denominator || (twice === denominator && quotient % 2n !== 0n)
        ? quotient + away
        : quotient
    case 'up':
      return quotient + away
    case 'down':
      return quotient
    case 'ceiling':
      return away > 0n ? quotient + 1n : quotient
    case 'floor':
      return away < 0n ? quotient - 1n : quotient
  }
}

/** Rounds to `scale` digits behind the point. `halfUp` is away from zero, for charges and credits alike. */
export function round(a: Decimal, scale: number, mode: RoundingMode = 'halfUp'): Decimal {
  if (a.scale <= scale) return { coefficient: coefficientAt(a, scale), scale }
  return { coefficient: divideRounded(a.coefficient, pow10(a.scale - scale), mode), scale }
}

/** Rounds to a place before the point as well: -2 is to hundreds. The result has no needless scale. */
export function roundToPlace(a: Decimal, place: number, mode: RoundingMode = 'halfUp'): Decimal {
  if (place >= 0) return round(a, place, mode)
  const unit = pow10(-place)
  return { coefficient: divideRounded(a.coefficient, unit * pow10(a.scale), mode) * unit, scale: 0 }
}

/** `a / b` to `scale` digits behind the point, rounded once. */
export function divide(a: Decimal, b: Decimal, scale: number, mode: RoundingMode = 'halfUp'): Decimal {
  const shift = scale + b.scale - a.scale
  const coefficient =
    shift < 0
      ? divideRounded(a.coefficient, b.coefficient * pow10(-shift), mode)
      : divideRounded(a.coefficient * pow10(shift), b.coefficient, mode)
  return { coefficient, scale }
}

/** Plain notation with exactly `scale` digits behind the point: `65.50`. */
export function toFixedText(a: Decimal): string {
  const negative = a.coefficient < 0n
  const digits = (negative ? -a.coefficient : a.coefficient).toString().padStart(a.scale + 1, '0')
  const point = digits.length - a.scale
  const text = a.scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`
  return negative ? `-${text}` : text
}

/** Plain notation without needless zeros: `65.5`, `0`. The canonical text of a value. */
export function toText(a: Decimal): string {
  const fixed = toFixedText(a)
  if (a.scale === 0) return fixed
  const text = fixed.replace(/0+$/, '').replace(/\.$/, '')
  return text === '-0' ? '0' : text
}
