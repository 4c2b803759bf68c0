import type { Brand } from '../id/brand.ts'
import { type Decimal, round } from './decimal.ts'

/** An ISO 4217 alphabetic code that is in force. */
export type Currency = Brand<string, 'Currency'>

/**
 * Digits of the minor unit that are not 2, and every code with 2 (ISO 4217, list one of 2024-06-25; funds, metals and
 * test codes left out, because nobody can be invoiced in them).
 */
const EXPONENTS: ReadonlyMap<string, number> = new Map([
  ...codes(0, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'),
  ...codes(3, 'BHD IQD JOD KWD LYD OMR TND'),
  ...codes(4, 'CLF UYW'),
  ...codes(
    2,
    'AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY ' +
      'COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS ' +
      'INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR ' +
      'MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD ' +
      'SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG',
  ),
])

function codes(exponent: number, list: string): [string, number][] {
  return list.split(' ').map((code) => [code, exponent])
}

/** Reads a code (`USD`, upper case). Null when ISO 4217 has no such currency. */
export function parseCurrency(text: string): Currency | null {
  return EXPONENTS.has(text) ? (text as Currency) : null
}

/** Digits behind the point of the currency's minor unit: JPY 0, USD 2, KWD 3. */
export function minorUnitDigits(currency: Currency): number {
  const exponent = EXPONENTS.get(currency)
  if (exponent === undefined) throw new RangeError(`not a currency: ${currency}`)
  return exponent
}

/** Rounds to the currency's minor unit, half away from zero. */
export function roundToMinorUnit(amount: Decimal, currency: Currency): Decimal {
  return round(amount, minorUnitDigits(currency))
}
