import { describe, expect, it } from 'vitest'
import { type Currency, minorUnitDigits, parseCurrency, roundToMinorUnit } from '../../src/money/currency.ts'
import { decimal, toFixedText } from '../../src/money/decimal.ts'

describe('currency', () => {
  it.each([
    ['JPY', 0],
    ['USD', 2],
    ['KWD', 3],
    ['CLF', 4],
  ])('%s has %i digits', (code, digits) => {
    const currency = parseCurrency(code)
    expect(currency).not.toBeNull()
    expect(minorUnitDigits(currency as Currency)).toBe(digits)
  })

  it.each(['usd', 'XXX', 'XAU', '', 'US', 'USDT', '__proto__'])('knows no currency %j', (code) => {
    expect(parseCurrency(code)).toBeNull()
    expect(() => minorUnitDigits(code as Currency)).toThrow(RangeError)
  })

  it('rounds half away from zero, for charges and credits', () => {
    expect(toFixedText(roundToMinorUnit(decimal('1.225'), 'USD' as Currency))).toBe('1.23')
    expect(toFixedText(roundToMinorUnit(decimal('-12.5'), 'JPY' as Currency))).toBe('-13')
  })
})
