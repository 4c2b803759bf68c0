const SIGNIFICANT_DIGITS_MAX = 15
const FRACTION_DIGITS_MAX = 38

/**
 * Whether a number may travel as a JSON number: finite, below 2^53, at most 15 significant digits, at most 38 digits
 * behind the point. It is the rule by which the server judges what arrives; anything else goes as a decimal string.
 */
export function isSafeNumber(value: number): boolean {
  if (value === 0) return true
  if (!Number.isFinite(value) || Math.abs(value) >= 2 ** 53) return false
  // The shortest digits that name this double, as JSON spells them: "-1.234e-5".
  const [mantissa = '', exponent = ''] = Math.abs(value).toExponential().split('e')
  const digits = mantissa.replace('.', '').length
  return digits <= SIGNIFICANT_DIGITS_MAX && digits - 1 - Number(exponent) <= FRACTION_DIGITS_MAX
}
