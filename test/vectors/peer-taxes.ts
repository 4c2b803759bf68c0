import { discountedTotal, payWith, withoutShare } from '../../src/invoice/discounted-total.ts'
import { creditShare, type TaxBreakdown, taxExclusive, type TaxRounding } from '../../src/invoice/tax.ts'
import { shareOf, splitCumulatively } from '../../src/money/allocate.ts'
import { minorUnitDigits, roundToMinorUnit } from '../../src/money/currency.ts'
import { add, type Decimal, divide, multiply, subtract, toText, ZERO } from '../../src/money/decimal.ts'
import { type Rational, rational, rationalOf } from '../../src/money/rational.ts'
import { missingToCommitment } from '../../src/rating/commitment.ts'
import { currencyOf, decimalOf, decimals, fractionOf, shareOfPercent, sumOf, texts, wanted } from './terms.ts'
import { compareWith, type Field, type Mapped, type Mapping } from './vector.ts'

/** Taxes, totals and credit notes of the peers. */
export const peerTaxes: Readonly<Record<string, Mapping>> = {
  currency_rounding: mapCurrencyRounding,
  multi_tax: mapMultiTax,
  tax_rounding: mapTaxRounding,
  line_tax: mapLineTax,
  invoice_tax: mapInvoiceTax,
  invoice_total: mapInvoiceTotal,
  subtotal_of_rounded_lines: mapSubtotal,
  subscription_proration_with_tax: mapProrationWithTax,
  minimum_true_up_with_tax_and_credit: mapFeesWithTaxAndCredit,
  credit_note_rounding: mapCreditNoteRounding,
  credit_note_application: mapCreditNoteApplication,
  credit_note_split: mapCreditNoteSplit,
  termination_credit_note: mapTerminationCreditNote,
}

function mapCurrencyRounding(vector: Field): Mapped {
  const config = vector.at('config')
  config.says('mode', 'half away from zero')
  const currency = currencyOf(config.at('currency').text())
  if (config.at('minor_digits').number() !== minorUnitDigits(currency))
    throw new Error('other digits than ours')
  const rounded = roundToMinorUnit(decimalOf(vector.at('usage', 'amount')), currency)
  return compareWith(wanted(vector).raw, { rounded: toText(rounded) })
}

function taxOf(
  amounts: readonly Decimal[],
  rates: readonly Decimal[],
  digits: number,
  rounding: TaxRounding = 'group',
): TaxBreakdown {
  return taxExclusive(
    amounts.map((amount) => ({ amount, rates })),
    rounding,
    digits,
  )
}

function ratesOf(config: Field): Decimal[] {
  return decimals(config.at('rates_percent')).map(shareOfPercent)
}

/** Rates of one line add up; none is taken on another. */
function mapMultiTax(vector: Field): Mapped {
  const config = vector.at('config')
  if (config.at('compound').flag()) throw new Error('no tax on tax')
  const usage = vector.at('usage')
  const inCents = usage.at('fee_cents').exists
  const base = inCents
    ? subtract(decimalOf(usage.at('fee_cents')), decimalOf(usage.at('coupon_cents')))
    : decimalOf(usage.at('taxable'))
  const { byRate, total } = taxOf([base], ratesOf(config), inCents ? 0 : 2)
  return compareWith(
    wanted(vector).raw,
    inCents
      ? { tax_cents: toText(total) }
      : { taxes: texts(byRate.map(({ tax }) => tax)), tax: toText(total) },
  )
}

function mapTaxRounding(vector: Field): Mapped {
  const config = vector.at('config')
  const digits = minorUnitDigits(currencyOf(config.at('currency').text()))
  const rate = shareOfPercent(decimalOf(config.at('rate_percent')))
  const { total } = taxOf([decimalOf(vector.at('usage', 'taxable'))], [rate], digits)
  return compareWith(wanted(vector).raw, { tax: toText(total) })
}

function mapLineTax(vector: Field): Mapped {
  vector.at('config').says('rounding', 'per line, half away from zero')
  const lines = vector
    .at('usage', 'lines')
    .list()
    .map((line) => ({
      amount: decimalOf(line.at('cents')),
      rates: [shareOfPercent(decimalOf(line.at('rate_percent')))],
    }))
  const { byLine, total } = taxExclusive(lines, 'line', 0)
  return compareWith(wanted(vector).raw, {
    line_tax_cents: texts(byLine),
    tax_cents: toText(total),
    total_cents: toText(add(sumOf(lines.map(({ amount }) => amount)), total)),
  })
}

function mapInvoiceTax(vector: Field): Mapped {
  const config = vector.at('config')
  if (config.at('fees').exists) return mapFeesOfSeveralRates(vector)
  const usage = vector.at('usage')
  if (usage.at('fees_cents').exists) {
    const { taxable } = discountedTotal(
      decimals(usage.at('fees_cents')).map((amount) => ({ amount, discounts: [] })),
      decimals(usage.at('coupons_cents')).map((amount) => ({
        discount: { kind: 'amount', amount },
        lines: null,
      })),
      [],
      0,
    )
    const tax = taxOf(taxable, ratesOf(config), 0).total
    return compareWith(wanted(vector).raw, {
      tax_cents: toText(tax),
      total_cents: toText(add(sumOf(taxable), tax)),
    })
  }
  const [base = ZERO] = withoutShare([decimalOf(usage.at('subtotal'))], decimalOf(usage.at('discount')), 2)
  const tax = taxOf([base], [shareOfPercent(decimalOf(config.at('rate_percent')))], 2).total
  return compareWith(wanted(vector).raw, { tax: toText(tax), total: toText(add(base, tax)) })
}

function mapFeesOfSeveralRates(vector: Field): Mapped {
  const fees = vector.at('config', 'fees').list()
  const taxable = withoutShare(
    fees.map((fee) => decimalOf(fee.at('cents'))),
    decimalOf(vector.at('usage', 'coupon_cents')),
    0,
  )
  const { byRate, total } = taxExclusive(
    fees.map((fee, i) => ({
      amount: taxable[i] ?? ZERO,
      rates: decimals(fee.at('rates')).map(shareOfPercent),
    })),
    'group',
    0,
  )
  const expected = wanted(vector)
  const digits = decimalOf(expected.at('effective_rate')).scale
  const hundredfold = multiply(total, { coefficient: 100n, scale: 0 })
  return compareWith(expected.raw, {
    tax_by_rate_cents: Object.fromEntries(
      byRate.map(({ rate, tax }) => [toText({ ...rate, scale: rate.scale - 2 }), toText(tax)]),
    ),
    tax_cents: toText(total),
    effective_rate: toText(divide(hundredfold, sumOf(taxable), digits)),
  })
}

function mapInvoiceTotal(vector: Field): Mapped {
  const amounts = vector
    .at('usage')
    .entries()
    .map(([, amount]) => ({ amount: decimalOf(amount), discounts: [] }))
  return compareWith(wanted(vector).raw, { total_cents: toText(discountedTotal(amounts, [], [], 0).total) })
}

function mapSubtotal(vector: Field): Mapped {
  const currency = currencyOf(vector.at('config', 'currency').text())
  const lines = decimals(vector.at('usage', 'line_amounts')).map((amount) => ({
    amount: roundToMinorUnit(amount, currency),
    discounts: [],
  }))
  const { subtotal } = discountedTotal(lines, [], [], minorUnitDigits(currency))
  return compareWith(wanted(vector).raw, { subtotal: toText(subtotal) })
}

function mapProrationWithTax(vector: Field): Mapped {
  const config = vector.at('config')
  const usage = vector.at('usage')
  const share = daysOf(usage, 'billed_days')
  const fees = shareOf(decimalOf(config.at('plan_amount_cents')), share, 0)
  const tax = taxOf([fees], [shareOfPercent(decimalOf(config.at('tax_rate_percent')))], 0).total
  return compareWith(wanted(vector).raw, {
    fees_cents: toText(fees),
    tax_cents: toText(tax),
    total_cents: toText(add(fees, tax)),
  })
}

function daysOf(usage: Field, key: string): Rational {
  return rational(BigInt(usage.at(key).number()), BigInt(usage.at('period_days').number()))
}

function mapFeesWithTaxAndCredit(vector: Field): Mapped {
  const config = vector.at('config')
  const used = decimals(vector.at('usage', 'fees_cents'))
  const minimum = config.at('minimum_amount_cents')
  const missing = minimum.exists
    ? missingToCommitment(decimalOf(minimum), fractionOf(config.at('period_fraction')), used, 0)
    : ZERO
  const fees = add(sumOf(used), missing)
  const tax = taxOf([fees], [shareOfPercent(decimalOf(config.at('tax_rate_percent')))], 0).total
  const { due } = payWith([decimalOf(config.at('credit_note_cents'))], add(fees, tax))
  return compareWith(wanted(vector).raw, {
    fees_cents: toText(fees),
    tax_cents: toText(tax),
    total_cents: toText(due),
  })
}

function mapCreditNoteRounding(vector: Field): Mapped {
  const config = vector.at('config')
  const usage = vector.at('usage')
  const rate = shareOfPercent(decimalOf(config.at('tax_rate_percent')))
  if (usage.at('credited_item_cents').exists) {
    const invoiced = decimalOf(config.at('invoice_fee_cents'))
    const share = rationalOf(decimalOf(usage.at('credited_item_cents')))
    const whole = rationalOf(invoiced)
    const credited = creditShare(
      invoiced,
      rational(share.numerator * whole.denominator, share.denominator * whole.numerator),
      rate,
      0,
    )
    return compareWith(wanted(vector).raw, {
      tax_cents: toText(credited.tax),
      total_cents: toText(credited.total),
    })
  }
  const credited = creditShare(decimalOf(config.at('fee_cents')), daysOf(usage, 'unused_days'), rate, 0)
  return compareWith(wanted(vector).raw, {
    amount_cents: toText(credited.net),
    tax_cents: toText(credited.tax),
    total_cents: toText(credited.total),
  })
}

function mapCreditNoteApplication(vector: Field): Mapped {
  vector.at('config').says('order', 'oldest first')
  const usage = vector.at('usage')
  const total = decimalOf(usage.at('invoice_total_cents'))
  if (usage.at('credit_notes_cents').exists) {
    const { paid, due } = payWith(decimals(usage.at('credit_notes_cents')), total)
    return compareWith(wanted(vector).raw, { credited_cents: toText(sumOf(paid)), due_cents: toText(due) })
  }
  const balance = decimalOf(usage.at('credit_balance_cents'))
  const { paid, due } = payWith([balance], total)
  return compareWith(wanted(vector).raw, {
    credit_applied_cents: toText(sumOf(paid)),
    total_due_cents: toText(due),
    credit_balance_left_cents: toText(subtract(balance, sumOf(paid))),
  })
}

/** What of a credit was paid out cannot be applied; parts of a credit add up to it. */
function mapCreditNoteSplit(vector: Field): Mapped {
  const config = vector.at('config')
  const usage = vector.at('usage')
  if (usage.at('shares').exists) {
    const shares = usage
      .at('shares')
      .list()
      .map((share) => Number(share.text().replace('%', '')))
    const cumulative = shares.map((_, i) =>
      rational(BigInt(shares.slice(0, i + 1).reduce((sum, share) => sum + share, 0)), 100n),
    )
    return compareWith(wanted(vector).raw, {
      parts_cents: texts(splitCumulatively(decimalOf(config.at('total_cents')), cumulative, 0)),
    })
  }
  if (!config.at('paid_part_refundable').flag()) throw new Error('the paid part must be refundable')
  const left = subtract(decimalOf(usage.at('credit_total_cents')), decimalOf(usage.at('refunded_cents')))
  const { paid, due } = payWith([left], decimalOf(usage.at('invoice_total_cents')))
  return compareWith(wanted(vector).raw, {
    credit_applied_cents: toText(sumOf(paid)),
    total_due_cents: toText(due),
  })
}

function mapTerminationCreditNote(vector: Field): Mapped {
  vector.at('config').says('on_termination_credit_note', 'skip')
  const { paid, due } = payWith([], decimalOf(vector.at('usage', 'invoice_total_cents')))
  return compareWith(wanted(vector).raw, {
    credit_applied_cents: toText(sumOf(paid)),
    total_due_cents: toText(due),
  })
}
