import type { Discount } from '../../src/catalog/price.ts'
import {
  discountedTotal,
  type InvoiceDiscount,
  takeDiscount,
  withoutShare,
} from '../../src/invoice/discounted-total.ts'
import { taxExclusive } from '../../src/invoice/tax.ts'
import { add, type Decimal, isZero, subtract, toText } from '../../src/money/decimal.ts'
import { decimalOf, decimals, shareOfPercent, sumOf, texts, wanted } from './terms.ts'
import { compareWith, excludedIfElseEqual, type Field, type Mapped, type Mapping } from './vector.ts'

/** Coupons and discounts of the peers. Amounts are in the unit that the vector has. */
export const peerDiscounts: Readonly<Record<string, Mapping>> = {
  coupon: mapCoupon,
  coupon_sequence: mapCouponSequence,
  coupon_order_and_tax: mapCouponOrderAndTax,
  discount_distribution: mapDistribution,
  discount_then_credit: mapDiscountThenCredit,
}

function discountOf(coupon: Field): Discount {
  for (const key of ['fixed_cents', 'fixed', 'cents']) {
    if (coupon.at(key).exists) return { kind: 'amount', amount: decimalOf(coupon.at(key)) }
  }
  return { kind: 'percent', percent: decimalOf(coupon.at('percent')) }
}

/** A recurring coupon is the same discount in each period: what a period cannot use of it is lost. */
function mapCoupon(vector: Field): Mapped {
  const config = vector.at('config')
  config.says('frequency', 'recurring', 'once', 'forever')
  const { discount } = discountedTotal(
    [{ amount: decimalOf(vector.at('usage', 'base_cents')), discounts: [] }],
    [{ discount: discountOf(config), lines: null }],
    [],
    0,
  )
  return compareWith(wanted(vector).raw, { discount_cents: toText(discount) })
}

/** Discounts in order. A discount in another currency than the invoice's does not apply. */
function mapCouponSequence(vector: Field): Mapped {
  const config = vector.at('config')
  const usage = vector.at('usage')
  const feeKinds = ['metric', 'plan']
  const fees = usage.at('metric_fee_cents').exists
    ? feeKinds.map((kind) => decimalOf(usage.at(`${kind}_fee_cents`)))
    : [decimalOf(usage.at(usage.at('base_cents').exists ? 'base_cents' : 'subtotal_cents'))]
  const discounts: InvoiceDiscount[] = config.at('coupons').exists
    ? couponsInOrder(config, feeKinds)
    : [
        ...decimals(config.at('percents')).map((percent) => ({ kind: 'percent', percent }) as const),
        ...decimals(config.at('fixed_cents')).map((amount) => ({ kind: 'amount', amount }) as const),
      ].map((discount) => ({ discount, lines: null }))
  let left: readonly Decimal[] = fees
  let applied = 0
  for (const discount of discounts) {
    const after = takeDiscount(left, discount, 0)
    if (!isZero(subtract(sumOf(left), sumOf(after)))) applied += 1
    left = after
  }
  return compareWith(wanted(vector).raw, {
    discount_cents: toText(subtract(sumOf(fees), sumOf(left))),
    ...(wanted(vector).at('credits').exists ? { credits: applied } : {}),
  })
}

function couponsInOrder(config: Field, feeKinds: readonly string[]): InvoiceDiscount[] {
  const currency = config.at('invoice_currency')
  return config
    .at('coupons')
    .list()
    .flatMap((coupon) => {
      const limit = coupon.at('limited_to')
      const position = limit.exists ? feeKinds.indexOf(limit.text()) : null
      if (position === -1) throw new Error(`no coupon limited to ${limit.text()}`)
      const foreign =
        coupon.at('currency').exists && currency.exists && coupon.at('currency').text() !== currency.text()
      const discount = discountOf(coupon)
      return foreign ? [] : [{ discount, lines: position === null ? null : [position] }]
    })
}

const WHOLE_CENTS =
  'policy: discounts are shared out in whole minor units and tax is rounded once for each rate, so that lines add up to the invoice'

/** Coupons in their order, each on what the ones before left of its fees; then tax on the rest. */
function mapCouponOrderAndTax(vector: Field): Mapped {
  const config = vector.at('config')
  const fees = decimals(config.at('fees_cents'))
  const rates = decimals(config.at('fee_tax_rates')).map(shareOfPercent)
  vector.at('usage').describes('order')
  const coupons = config
    .at('coupons')
    .list()
    .map((coupon) => ({ discount: discountOf(coupon), lines: feesNamed(coupon.at('limited_to')) }))
  const left = coupons.reduce<Decimal[]>((lines, coupon) => takeDiscount(lines, coupon, 0), [...fees])
  const tax = taxExclusive(
    left.map((amount, i) => ({ amount, rates: rates.slice(i, i + 1) })),
    'group',
    0,
  )
  const expected = wanted(vector)
  const fromPolicy = ['coupon_split_cents_5dp', 'fee_tax_cents', 'fee_tax_sum_cents', 'invoice_tax_cents']
  expected.describes(...fromPolicy, 'total_cents')
  const subtotal = sumOf(left)
  return excludedIfElseEqual(
    WHOLE_CENTS,
    { coupons: expected.at('coupons_cents').raw, subtotal: expected.at('subtotal_cents').raw },
    { coupons: toText(subtract(sumOf(fees), subtotal)), subtotal: toText(subtotal) },
    {
      coupon_split_cents: texts(fees.map((fee, i) => subtract(fee, left[i] ?? fee))),
      fee_tax_cents: texts(tax.byLine),
      invoice_tax_cents: toText(tax.total),
      total_cents: toText(add(subtotal, tax.total)),
    },
  )
}

/** `… (fees 0,1)`, `… (fees 4-7)`; null for all. */
function feesNamed(limit: Field): number[] | null {
  if (!limit.exists) return null
  const m = /\(fees ([\d,-]+)\)/.exec(limit.text())
  if (m === null) throw new Error(`${limit.path} names no fees`)
  return (m[1] ?? '').split(',').flatMap((span) => {
    const [from = 0, to = from] = span.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })
}

function mapDistribution(vector: Field): Mapped {
  vector.at('config').says('method', 'largest remainder')
  const lines = decimals(vector.at('usage', 'lines_cents'))
  return compareWith(wanted(vector).raw, {
    taxable_cents: texts(withoutShare(lines, decimalOf(vector.at('usage', 'discount_cents')), 0)),
  })
}

function mapDiscountThenCredit(vector: Field): Mapped {
  const config = vector.at('config')
  config.says('order', 'line discount, invoice discount, prepaid credits')
  const ofLines = config.at('line_discounts').list()
  const { subtotal, discount, credits, total } = discountedTotal(
    decimals(vector.at('usage', 'lines')).map((amount, i) => ({
      amount,
      discounts: ofLines.filter((one) => one.at('line').number() === i).map(discountOf),
    })),
    config
      .at('invoice_discounts')
      .list()
      .map((one) => ({ discount: discountOf(one), lines: null })),
    decimals(config.at('wallet_credits')),
    2,
  )
  return compareWith(wanted(vector).raw, {
    subtotal: toText(subtotal),
    discount: toText(discount),
    credits: toText(credits),
    total: toText(total),
  })
}
