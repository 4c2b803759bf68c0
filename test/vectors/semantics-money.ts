import { type AgedInvoice, agingAt, openAt } from '../../src/invoice/aging.ts'
import { discountedTotal, payWith } from '../../src/invoice/discounted-total.ts'
import { creditShare, taxExclusive, taxInclusive } from '../../src/invoice/tax.ts'
import { allocate } from '../../src/money/allocate.ts'
import { minorUnitDigits, roundToMinorUnit } from '../../src/money/currency.ts'
import {
  add,
  type Decimal,
  decimal,
  multiply,
  negate,
  subtract,
  toFixedText,
  toText,
  ZERO,
} from '../../src/money/decimal.ts'
import type { Discount } from '../../src/catalog/price.ts'
import { rational } from '../../src/money/rational.ts'
import {
  currencyOf,
  decimalOf,
  decimals,
  fractionOf,
  instantAt,
  shareOfPercent,
  sumOf,
  texts,
} from './terms.ts'
import { compareWith, type Field, type Mapped, type Mapping } from './vector.ts'

/** Rounding, taxes, credits and receivables, by `topic`. */
export const semanticsMoney: Readonly<Record<string, Mapping>> = {
  rounding: mapRounding,
  currency_minor_units: mapMinorUnits,
  tax_exclusive: mapTaxExclusive,
  tax_inclusive: mapTaxInclusive,
  tax_order_of_operations: mapOrder,
  credit_note_tax: mapCreditNoteTax,
  partial_payment: mapPartialPayment,
  credit_application: mapCreditApplication,
  aging: mapAging,
}

function mapRounding(vector: Field): Mapped {
  const input = vector.at('input')
  if (input.at('weights').exists) {
    const parts = allocate(
      decimalOf(input.at('total')),
      decimals(input.at('weights')),
      minorUnitDigits(currencyOf(input.at('currency').textOr('USD'))),
    )
    return compareWith(vector.at('expected').raw, { parts: texts(parts) })
  }
  const currency = currencyOf(input.at('currency').text())
  if (input.at('paid_credits').exists) {
    const paid = multiply(decimalOf(input.at('paid_credits')), decimalOf(input.at('rate')))
    const credit = roundToMinorUnit(paid, currency)
    return compareWith(vector.at('expected').raw, {
      credit: toText(credit),
      invoice_cents: credit.coefficient,
    })
  }
  return compareWith(vector.at('expected').raw, {
    rounded: toText(roundToMinorUnit(decimalOf(input.at('amount')), currency)),
  })
}

/** The lists of the source are one gateway's, not those of ISO 4217: an adapter's business. */
function mapMinorUnits(vector: Field): Mapped {
  vector.at('input').describes('zero_decimal', 'three_decimal')
  const expected = vector.at('expected')
  const units = expected
    .at('minor_units')
    .entries()
    .map(([code]): [string, number] => [code, minorUnitDigits(currencyOf(code))])
  return compareWith(expected.raw, { minor_units: Object.fromEntries(units) })
}

function amountOff(amount: Decimal): Discount {
  return { kind: 'amount', amount }
}

function mapTaxExclusive(vector: Field): Mapped {
  const input = vector.at('input')
  const fee = decimalOf(input.at('fee_cents'))
  const coupons = decimals(input.at('coupons_cents'))
  const { taxable } = discountedTotal(
    [{ amount: fee, discounts: [] }],
    coupons.map((coupon) => ({ discount: amountOff(coupon), lines: null })),
    [],
    0,
  )
  const rates = [shareOfPercent(decimalOf(input.at('tax_rate_pct')))]
  const { total: tax } = taxExclusive(
    taxable.map((amount) => ({ amount, rates })),
    'group',
    0,
  )
  const base = sumOf(taxable)
  return compareWith(vector.at('expected').raw, {
    coupon_applied_cents: toText(subtract(fee, base)),
    tax_cents: toText(tax),
    total_cents: toText(add(base, tax)),
  })
}

function mapTaxInclusive(vector: Field): Mapped {
  const input = vector.at('input')
  const digits = minorUnitDigits(currencyOf(input.at('currency').textOr('USD')))
  if (input.at('rates_pct').exists) {
    const rates = decimals(input.at('rates_pct')).map(shareOfPercent)
    const { net, taxes } = taxInclusive(decimalOf(input.at('gross')), rates, digits)
    return compareWith(vector.at('expected').raw, { net: toText(net), tax: texts(taxes) })
  }
  const rate = shareOfPercent(decimalOf(input.at('rate_pct')))
  const tax = (mode: 'halfUp' | 'down'): string[] =>
    decimals(input.at('gross')).map((gross) => toText(sumOf(taxInclusive(gross, [rate], digits, mode).taxes)))
  return compareWith(vector.at('expected').raw, { tax_half_up: tax('halfUp'), tax_down: tax('down') })
}

/** Discounts reduce what is taxed, prepaid money pays: the other two orders are what the source warns of. */
function mapOrder(vector: Field): Mapped {
  const input = vector.at('input')
  const { taxable } = discountedTotal(
    ['subscription', 'usage'].map((key) => ({ amount: decimalOf(input.at(key)), discounts: [] })),
    [{ discount: amountOff(decimalOf(input.at('coupon'))), lines: null }],
    [],
    2,
  )
  const rates = [shareOfPercent(decimalOf(input.at('tax_rate_pct')))]
  const { total: tax } = taxExclusive(
    taxable.map((amount) => ({ amount, rates })),
    'group',
    2,
  )
  const { due } = payWith([decimalOf(input.at('prepaid_credits'))], add(sumOf(taxable), tax))
  const expected = vector.at('expected')
  expected.describes('all_before_tax', 'all_after_tax')
  const name = 'coupon_before_prepaid_after'
  return compareWith({ due: expected.at(name).text() }, { due: toText(due) })
}

/** The tax of a credit note follows from the amount before it is rounded. */
function mapCreditNoteTax(vector: Field): Mapped {
  const input = vector.at('input')
  if (input.at('item_adjustment').exists) {
    input.describes('paid_invoice')
    const parts = ['item_adjustment', 'tax_adjustment'].map((key) => decimalOf(input.at(key)))
    return compareWith(vector.at('expected').raw, { credit_generated: toText(negate(sumOf(parts))) })
  }
  const fee = decimalOf(input.at('fee_cents'))
  const rate = shareOfPercent(decimalOf(input.at('tax_rate_pct')))
  const credited = creditShare(fee, fractionOf(input.at('unused_fraction')), rate, 0)
  return compareWith(vector.at('expected').raw, {
    invoice_tax: toText(creditShare(fee, rational(1n, 1n), rate, 0).tax),
    cn_net: toText(credited.net),
    cn_tax: toText(credited.tax),
    cn_total: toText(credited.total),
  })
}

function mapPartialPayment(vector: Field): Mapped {
  const input = vector.at('input')
  const { due } = payWith([decimalOf(input.at('payment'))], sumOf(decimals(input.at('items'))))
  return compareWith(vector.at('expected').raw, { balance: toText(due) })
}

/** A credit pays as far as there is something to pay; the rest stays with the customer. */
function mapCreditApplication(vector: Field): Mapped {
  const input = vector.at('input')
  if (input.at('account_credit').exists) {
    const credit = decimalOf(input.at('account_credit'))
    const applied = sumOf(payWith([credit], decimalOf(input.at('charge'))).paid)
    return compareWith(vector.at('expected').raw, {
      applied: toText(applied),
      remaining: toText(subtract(credit, applied)),
    })
  }
  const invoice = decimalOf(input.at('invoice'))
  const cases = decimals(input.at('invoice_credit')).map((credit) => {
    const { paid, due } = payWith([credit], invoice)
    return { balance: toText(due), surplus: toText(subtract(credit, sumOf(paid))) }
  })
  return compareWith(vector.at('expected').raw, {
    balance: cases.map(({ balance }) => balance),
    surplus_to_account_credit: cases.map(({ surplus }) => surplus),
  })
}

const COLUMNS: Readonly<Record<string, keyof ReturnType<typeof agingAt>>> = {
  current: 'current',
  d1_30: 'days1To30',
  d31_60: 'days31To60',
  d61_90: 'days61To90',
  d90_plus: 'daysOver90',
  d91_plus: 'daysOver90',
  unapplied_credits: 'unapplied',
  net_ar: 'net',
  total: 'net',
  bad_debt: 'badDebt',
}

function mapAging(vector: Field): Mapped {
  const input = vector.at('input')
  const expected = vector.at('expected')
  if (input.at('invoice').exists) {
    const invoice = { ...agedInvoice(input.at('invoice')), settlements: settlements([input.at('payment')]) }
    const open = input
      .at('as_of')
      .list()
      .map((asOf) => toText(openAt(invoice, instantAt(asOf.text()))))
    return compareWith(expected.raw, { open })
  }
  const unapplied = input.at('unapplied_cash').exists ? decimalOf(input.at('unapplied_cash')) : ZERO
  const invoices = input
    .at('invoices')
    .list()
    .filter((invoice) => invoice.at('status').textOr('') !== 'draft' || ignored(invoice))
    .map(agedInvoice)
  const aging = agingAt(invoices, unapplied, instantAt(input.at('as_of').text()), 'UTC')
  const columns = expected.entries().map(([name]) => {
    const column = COLUMNS[name]
    if (column === undefined) throw new Error(`no column ${name}`)
    return [name, toFixedText(aging[column])]
  })
  return compareWith(expected.raw, Object.fromEntries(columns))
}

/** A draft is no receivable: it has no number and is not given to the report. */
function ignored(draft: Field): false {
  draft.describes('total', 'due')
  return false
}

function agedInvoice(invoice: Field): AgedInvoice {
  const status = invoice.at('status').textOr('')
  const dueAt = instantAt(invoice.at('due').text())
  const writtenOff = /^uncollectible (\S+)$/.exec(status)?.[1]
  if (status !== '' && status !== 'void' && writtenOff === undefined) throw new Error(`no status ${status}`)
  return {
    total: decimalOf(invoice.at('total')),
    finalizedAt: dueAt,
    dueAt,
    settlements: settlements([invoice.at('paid'), invoice.at('credit_note')]),
    voidedAt: status === 'void' ? dueAt : null,
    writtenOffAt: writtenOff === undefined ? null : instantAt(writtenOff),
  }
}

/** `40.00 on 2024-06-15` */
function settlements(fields: readonly Field[]): AgedInvoice['settlements'] {
  return fields
    .filter((field) => field.exists)
    .map((field) => {
      const [amount = '', on, at = ''] = field.text().split(' ')
      if (on !== 'on') throw new Error(`${field.path} is no amount on a date`)
      return { amount: decimal(amount), at: instantAt(at) }
    })
}
