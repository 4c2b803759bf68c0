import { type Currency, minorUnitDigits } from '../money/currency.ts'
import { add, decimal, type Decimal, round, subtract, toFixedText, ZERO } from '../money/decimal.ts'
import type { LineTaxRate, TaxLine } from './invoice.ts'
import { type TaxRounding, taxExclusive, taxInclusive } from './tax.ts'

export interface TaxTerms {
  readonly behavior: 'exclusive' | 'inclusive'
  readonly rounding: TaxRounding
}

export interface TaxableAmount {
  readonly amount: Decimal
  readonly rates: readonly LineTaxRate[]
}

/** Subtotal, taxes and total of a document. `total = subtotal + tax`, and the taxes add up to the tax. */
export interface Totals {
  readonly subtotal: string
  readonly taxes: readonly TaxLine[]
  readonly tax: string
  readonly total: string
}

/** A tax while it is summed up: one for each name, rate and category. */
interface TaxSum {
  readonly rate: LineTaxRate
  readonly base: Decimal
  readonly amount: Decimal
}

/**
 * Adds the lines up and taxes them, rounded once for each set of rates or on each line. Exclusive tax comes on top of the
 * lines; inclusive tax is taken out of them.
 */
export function totalsOf(lines: readonly TaxableAmount[], terms: TaxTerms, currency: Currency): Totals {
  return totalsText(lines, taxSums(lines, terms, currency), terms, currency)
}

/**
 * The totals of a part of a document that is taken back, after earlier parts: tax is what all parts come to less what the
 * earlier ones came to, so that however many parts never take back more tax than there was.
 */
export function totalsOfPart(
  lines: readonly TaxableAmount[],
  /** All parts so far, united by the line that they take back; without and with this one. */
  before: readonly TaxableAmount[],
  through: readonly TaxableAmount[],
  terms: TaxTerms,
  currency: Currency,
): Totals {
  const earlier = taxSums(before, terms, currency)
  const sums = [...taxSums(through, terms, currency)].map(([key, sum]): [string, TaxSum] => {
    const other = earlier.get(key)
    if (other === undefined) return [key, sum]
    return [
      key,
      { rate: sum.rate, base: subtract(sum.base, other.base), amount: subtract(sum.amount, other.amount) },
    ]
  })
  const own = new Set(lines.flatMap(({ rates }) => rates.map(keyOf)))
  return totalsText(lines, new Map(sums.filter(([key]) => own.has(key))), terms, currency)
}

function totalsText(
  lines: readonly TaxableAmount[],
  sums: ReadonlyMap<string, TaxSum>,
  { behavior }: TaxTerms,
  currency: Currency,
): Totals {
  const digits = minorUnitDigits(currency)
  const ofLines = round(
    lines.reduce((sum, { amount }) => add(sum, amount), ZERO),
    digits,
  )
  const tax = round(
    [...sums.values()].reduce((sum, { amount }) => add(sum, amount), ZERO),
    digits,
  )
  const subtotal = behavior === 'exclusive' ? ofLines : subtract(ofLines, tax)
  return {
    subtotal: toFixedText(subtotal),
    taxes: [...sums.values()].map(({ rate, base, amount }) => ({
      name: rate.name,
      rate: rate.rate,
      category: rate.category,
      base: toFixedText(round(base, digits)),
      amount: toFixedText(round(amount, digits)),
    })),
    tax: toFixedText(tax),
    total: toFixedText(add(subtotal, tax)),
  }
}

/** Taxes by rate, in the order in which the lines name them. */
function taxSums(
  lines: readonly TaxableAmount[],
  { behavior, rounding }: TaxTerms,
  currency: Currency,
): ReadonlyMap<string, TaxSum> {
  const digits = minorUnitDigits(currency)
  const sums = new Map<string, TaxSum>()
  const note = (rate: LineTaxRate, base: Decimal, amount: Decimal): void => {
    const key = keyOf(rate)
    const sum = sums.get(key) ?? { rate, base: ZERO, amount: ZERO }
    sums.set(key, { rate, base: add(sum.base, base), amount: add(sum.amount, amount) })
  }
  if (behavior === 'exclusive') {
    // Each rate by itself, so that two rates of one share (a zero rate and an exemption) stay apart.
    const rates = new Map(lines.flatMap((line) => line.rates.map((rate) => [keyOf(rate), rate])))
    for (const [key, rate] of rates) {
      const taxed = lines.filter((line) => line.rates.some((other) => keyOf(other) === key))
      const share = decimal(rate.rate)
      const breakdown = taxExclusive(
        taxed.map(({ amount }) => ({ amount, rates: [share] })),
        rounding,
        digits,
      )
      note(
        rate,
        taxed.reduce((sum, { amount }) => add(sum, amount), ZERO),
        breakdown.total,
      )
    }
    return sums
  }
  for (const { amount, rates } of rounding === 'line' ? lines : unitedByRates(lines)) {
    if (rates.length === 0) continue
    const { net, taxes } = taxInclusive(
      amount,
      rates.map(({ rate }) => decimal(rate)),
      digits,
    )
    rates.forEach((rate, i) => note(rate, net, taxes[i] ?? ZERO))
  }
  return sums
}

function unitedByRates(lines: readonly TaxableAmount[]): readonly TaxableAmount[] {
  const groups = Map.groupBy(lines, ({ rates }) => JSON.stringify(rates.map(keyOf)))
  return [...groups.values()].map((group) => ({
    amount: group.reduce((sum, { amount }) => add(sum, amount), ZERO),
    rates: group[0]?.rates ?? [],
  }))
}

function keyOf({ name, rate, category }: LineTaxRate): string {
  return JSON.stringify([name, rate, category])
}
