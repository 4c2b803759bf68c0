const SIGNIFICANT_DIGITS_MAX = 15
const FRACTION_DIGITS_MAX = 38

/**
 * The exact plain decimal text of a JSON number, or null when it may have lost digits on the way through a double:
 * 2^53 and beyond, or more than 15 significant digits. Clients with such quantities send them as strings.
 */
export function exactNumberText(value: number): string | null {
  if (Number.isInteger(value) && value < 1e15 && value > -1e15) return value === 0 ? '0' : String(value)
  if (!(Math.abs(value) < 2 ** 53)) return null
  const text = plainNotation(String(value))
  const digits = text.replace(/^-?[0.]*/, '').replace('.', '')
  const significant = text.includes('.') ? digits.length : digits.replace(/0+$/, '').length
  if (significant > SIGNIFICANT_DIGITS_MAX) return null
  const point = text.indexOf('.')
  return point >= 0 && text.length - point - 1 > FRACTION_DIGITS_MAX ? null : text
}

/** `1.5e-7` → `0.00000015`. Below 2^53 JavaScript writes exponents for small numbers only. */
function plainNotation(text: string): string {
  const e = text.indexOf('e-')
  if (e < 0) return text
  const negative = text.startsWith('-')
  const digits = text.slice(negative ? 1 : 0, e).replace('.', '')
  const zeros = '0'.repeat(Number(text.slice(e + 2)) - 1)
  return `${negative ? '-' : ''}0.${zeros}${digits}`
}
