const SIGNIFICANT_DIGITS_MAX = 15
const DIGITS_MAX = 38
const FRACTION_DIGITS_MAX = 38
/** Longer spellings of numbers are refused unread: nothing that fits the bounds needs them. */
const CHARS_MAX = 400
const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

/**
 * The plain decimal text of a JSON number as it is spelled, or null when a double could not carry it: more than 15
 * significant digits, 2^53 and beyond. The digits are ours to keep, but JSON libraries of clients round what is longer
 * before they send it, so that such quantities must come as strings.
 */
export function exactNumberText(spelled: string): string | null {
  const text = plainNumberText(spelled, SIGNIFICANT_DIGITS_MAX)
  return text !== null && Math.abs(Number(text)) < 2 ** 53 ? text : null
}

/** The plain decimal text of a JSON number, exactly as it is spelled; null beyond the bounds. */
export function plainNumberText(spelled: string, digitsMax = DIGITS_MAX): string | null {
  const match = spelled.length > CHARS_MAX ? null : NUMBER.exec(spelled)
  if (match === null) return null
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  const all = whole + fraction
  const digits = all.replace(/^0+/, '').replace(/0+$/, '')
  if (digits === '') return '0'
  if (digits.length > digitsMax) return null
  const leadingZeros = all.length - all.replace(/^0+/, '').length
  // Where the point stands, counted from the first digit that is not zero.
  const point = whole.length - leadingZeros + Number(exponent)
  if (point > digitsMax + 1 || digits.length - point > FRACTION_DIGITS_MAX) return null
  return sign + placePoint(digits, point)
}

function placePoint(digits: string, point: number): string {
  if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`
  if (point >= digits.length) return digits + '0'.repeat(point - digits.length)
  return `${digits.slice(0, point)}.${digits.slice(point)}`
}
