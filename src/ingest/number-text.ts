const SIGNIFICANT_DIGITS_MAX = 15
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
  const match = spelled.length > CHARS_MAX ? null : NUMBER.exec(spelled)
  if (match === null) return null
  const [, sign, whole = '', fraction = '', exponentText = '0'] = match
  const exponent = Number(exponentText)
  const digits = (whole + fraction).replace(/^0+/, '').replace(/0+$/, '')
  if (digits === '') return '0'
  if (digits.length > SIGNIFICANT_DIGITS_MAX) return null
  const leadingZeros = (/^0*/.exec(whole + fraction) as RegExpExecArray)[0].length
  /** Where the point stands: digits before it, counted from the first that is not zero. */
  const point = whole.length - leadingZeros + exponent
  if (point > 16 || digits.length - point > FRACTION_DIGITS_MAX) return null
  const text =
    point <= 0
      ? `0.${'0'.repeat(-point)}${digits}`
      : point >= digits.length
        ? digits + '0'.repeat(point - digits.length)
        : `${digits.slice(0, point)}.${digits.slice(point)}`
  return Number(text) < 2 ** 53 ? `${sign === '-' ? '-' : ''}${text}` : null
}
