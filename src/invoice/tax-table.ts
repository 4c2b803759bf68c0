import { toText } from '../money/decimal.ts'
import { formatInstant, type Instant, instantOf } from '../time/instant.ts'
import type { LineTaxRate, TaxCategory } from './invoice.ts'
import type { TaxAnswer, TaxEngine, TaxQuestion } from './ports.ts'
import type { TaxRounding } from './tax.ts'

/** A rate in a country from one instant to another; null is open. */
export interface TableRate {
  readonly country: string
  readonly name: string
  /** A share as decimal text. */
  readonly rate: string
  readonly category: TaxCategory
  readonly from: Instant | null
  readonly until: Instant | null
}

export interface RateTables {
  readonly rates: readonly TableRate[]
  readonly behavior: 'exclusive' | 'inclusive'
  readonly rounding: TaxRounding
  /** Where the seller is; null leaves reverse charge out. */
  readonly sellerCountry: string | null
  /** Countries between which a business customer with a tax id owes the tax itself. */
  readonly reverseChargeArea: ReadonlySet<string>
}

/** No tables: a customer's own rates, on top of the amounts, rounded once for each rate. */
export const NO_TABLES: RateTables = {
  rates: [],
  behavior: 'exclusive',
  rounding: 'group',
  sellerCountry: null,
  reverseChargeArea: new Set(),
}

const REVERSE_CHARGE_NOTE = 'Reverse charge: the recipient owes the tax.'

/**
 * Tax from tables of rates. A customer's own rates go before the tables. The rate is the one in force when the service
 * ended; a country that has tables but no rate at that time is an answer that is missing, never a rate of zero.
 */
export function createTaxTables(tables: RateTables): TaxEngine {
  return { determine: (question) => Promise.resolve(determine(question, tables)) }
}

function determine({ customer, lines }: TaxQuestion, tables: RateTables): TaxAnswer {
  const { behavior, rounding } = tables
  const country = customer.country ?? null
  const own = customer.taxRates.map(({ name, rate }): LineTaxRate => ({
    name,
    rate: toText(rate),
    category: 'standard',
  }))
  const answer = (rates: readonly (readonly LineTaxRate[])[], notes: readonly string[]): TaxAnswer => ({
    kind: 'determined',
    behavior,
    rounding,
    rates,
    notes,
  })
  if (own.length > 0)
    return answer(
      lines.map(() => own),
      [],
    )
  const ofCountry = tables.rates.filter((rate) => rate.country === country)
  if (owesItself(customer.billTo.taxId, country, tables)) {
    const rate: LineTaxRate = { name: 'VAT', rate: '0', category: 'reverseCharge' }
    return answer(
      lines.map(() => [rate]),
      [REVERSE_CHARGE_NOTE],
    )
  }
  if (ofCountry.length === 0)
    return answer(
      lines.map(() => []),
      [],
    )
  const rates: LineTaxRate[][] = []
  for (const { taxPoint } of lines) {
    const inForce = ofCountry.filter(({ from, until }) => isWithin(taxPoint, from, until))
    if (inForce.length === 0) {
      return {
        kind: 'unavailable',
        detail: `the rate tables have nothing for ${country ?? ''} at ${formatInstant(taxPoint)}`,
      }
    }
    rates.push(inForce.map(({ name, rate, category }) => ({ name, rate, category })))
  }
  return answer(rates, [])
}

function owesItself(taxId: string | null, country: string | null, tables: RateTables): boolean {
  const { sellerCountry, reverseChargeArea } = tables
  if (taxId === null || country === null || sellerCountry === null || country === sellerCountry) return false
  return reverseChargeArea.has(country) && reverseChargeArea.has(sellerCountry)
}

/** A service that ends when a rate does is taxed with it: its last moment was before. */
function isWithin(end: Instant, from: Instant | null, until: Instant | null): boolean {
  const last = instantOf(end - 1)
  return (from === null || last >= from) && (until === null || last < until)
}
