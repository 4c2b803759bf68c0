import type { ChargeTerms, Discount, Price } from '../../src/catalog/price.ts'
import { allocate, shareOf } from '../../src/money/allocate.ts'
import {
  decimal,
  type Decimal,
  isZero,
  multiply,
  negate,
  round,
  type RoundingMode,
  subtract,
  toText,
  ZERO,
} from '../../src/money/decimal.ts'
import { begunPackages } from '../../src/rating/package.ts'
import { servedShare } from '../../src/rating/proration.ts'
import { rate } from '../../src/rating/rate.ts'
import type { RatedLine, RatingOutcome } from '../../src/rating/rating-outcome.ts'
import { quantityInTier, tierReached } from '../../src/rating/tiers.ts'
import { convertUnits } from '../../src/rating/unit-conversion.ts'
import { conversionOf, digitsOf, priceOf, quantity, request } from './openmeter-prices.ts'
import { bare, currencyOf, intervalOf, rated } from './terms.ts'
import { compareWith, excludedBy, type Field, type Mapped, type Mapping } from './vector.ts'

/** Single rules of the source that its tests call by themselves. */
export const openMeterFunctions: Readonly<Record<string, Mapping>> = {
  number_of_packages: (vector) =>
    compareWith(vector.at('expected').raw, {
      packages: toText(
        begunPackages(
          quantity(vector, 'quantity'),
          decimal(vector.at('config', 'quantity_per_package').text()),
        ),
      ),
    }),
  graduated_total: (vector) =>
    compareWith(vector.at('expected').raw, {
      total: toText(rated(rate({ ...request(vector), quantity: quantity(vector, 'quantity') })).amount),
    }),
  graduated_slices: mapSlices,
  volume_find_tier: (vector) => {
    const price = priceOf(vector.at('config', 'price'))
    if (price.model !== 'volume') throw new Error('not a volume price')
    const { number } = tierReached(price.tiers, quantity(vector, 'quantity'))
    return compareWith(vector.at('expected').raw, { tier: number })
  },
  apply_usage_discount: mapUsageDiscount,
  convert: mapConversion,
  max_spend_discount: mapMaximumSpend,
  round: mapRounding,
  allocate_by_weight: mapAllocation,
  allocate_by_amount: mapAllocation,
  prorate: mapProration,
}

function mapSlices(vector: Field): Mapped {
  vector.at('config').describes('from_exclusive', 'to_inclusive')
  const terms = request(vector)
  const { price } = terms
  if (price.model !== 'graduated') throw new Error('not a graduated price')
  const from = quantity(vector, 'from')
  const to = quantity(vector, 'to')
  const amountAt = (at: Decimal): string => toText(rated(rate({ ...terms, quantity: at })).amount)
  const inTiers = (units: Decimal): Decimal[] => {
    if (isZero(units)) return []
    const reached = tierReached(price.tiers, units).number
    return Array.from({ length: reached }, (_, i) => quantityInTier(price.tiers, i + 1, reached, units))
  }
  const before = inTiers(from)
  const slices = inTiers(to).flatMap((units, i) => {
    const earlier = before[i]
    const inSlice = subtract(units, earlier ?? ZERO)
    if (isZero(inSlice)) return []
    const start = price.tiers[i - 1]?.upTo ?? ZERO
    return [
      {
        tier: i + 1,
        quantity: toText(inSlice),
        enters_tier_here: earlier === undefined,
        total_before: amountAt(earlier === undefined ? start : from),
      },
    ]
  })
  return compareWith(vector.at('expected').raw, { slices, cumulative_total_at_to: amountAt(to) })
}

function mapUsageDiscount(vector: Field): Mapped {
  const config = vector.at('config')
  const price: Price = config.at('price').exists
    ? priceOf(config.at('price'))
    : { model: 'unit', unitAmount: decimal('1') }
  const free: Discount = { kind: 'usage', units: decimal(config.at('discount_quantity').text()) }
  const terms: ChargeTerms = { ...bare(price), discounts: [free] }
  const previous = quantity(vector, 'pre_line_period_qty')
  const used = quantity(vector, 'quantity')
  const of = (outcome: RatingOutcome, kind: RatedLine['kind']): string =>
    toText(rated(outcome).lines.find((line) => line.kind === kind)?.quantity ?? ZERO)
  const common = { ...terms, currency: currencyOf(vector.at('currency').text()) }
  const before = rate({ ...common, quantity: previous })
  const now = rate({ ...common, quantity: used, previousQuantity: previous })
  const expected = vector.at('expected')
  return compareWith(expected.raw, {
    net_quantity: of(now, 'usage'),
    net_pre_line_period_qty: of(before, 'usage'),
    discounted_now: of(now, 'usageDiscount'),
    discounted_before: of(before, 'usageDiscount'),
    ...(expected.at('total').exists ? { total: toText(rated(now).amount) } : {}),
  })
}

function mapConversion(vector: Field): Mapped {
  const conversion = conversionOf(vector.at('config'))
  const metered = quantity(vector, 'quantity')
  return compareWith(vector.at('expected').raw, {
    ...(vector.at('expected', 'converted').exists
      ? { converted: toText(convertUnits({ ...conversion, rounding: 'none' }, metered)) }
      : {}),
    invoiced: toText(convertUnits(conversion, metered)),
  })
}

/** The amounts are rated as amounts: what was billed before is the quantity before. */
function mapMaximumSpend(vector: Field): Mapped {
  const config = vector.at('config')
  const line = config.at('line')
  const amount = multiply(decimal(line.at('quantity').text()), decimal(line.at('per_unit_amount').text()))
  const outcome = rated(
    rate({
      ...bare({ model: 'dynamic', multiplier: decimal('1') }),
      maximum: decimal(config.at('maximum_amount').text()),
      currency: currencyOf(vector.at('currency').text()),
      quantity: amount,
      previousQuantity: quantity(vector, 'billed_before'),
    }),
  )
  const cap = outcome.lines.find((rateLine) => rateLine.kind === 'maximum')
  return compareWith(vector.at('expected').raw, {
    discount: toText(negate(cap?.amount ?? ZERO)),
    line_total: toText(outcome.amount),
  })
}

const ROUNDING_MODES: Readonly<Record<string, RoundingMode>> = {
  half_away_from_zero: 'halfUp',
  half_even: 'halfEven',
  half_down: 'halfDown',
  up: 'up',
  down: 'down',
  ceiling: 'ceiling',
  floor: 'floor',
}

function mapRounding(vector: Field): Mapped {
  const mode = ROUNDING_MODES[vector.at('config', 'mode').text()]
  if (mode === undefined) throw new Error('no such rounding mode')
  const amount = decimal(vector.at('usage', 'amount').text())
  const digits = vector.at('config', 'precision').number()
  return compareWith(vector.at('expected').raw, { rounded: toText(round(amount, digits, mode)) })
}

function mapAllocation(vector: Field): Mapped {
  const config = vector.at('config')
  config.says('method', 'largest_remainder')
  const items = vector
    .at('usage', 'items')
    .list()
    .map((item) => ({ key: item.at('key').text(), weight: decimal(item.at('weight').text()) }))
  const byKey = config.at('tie_break').textOr('input order') === 'key ascending'
  const order = byKey ? [...items].sort((a, b) => (a.key < b.key ? -1 : 1)) : items
  const parts = allocate(
    decimal(vector.at('usage', 'amount').text()),
    order.map(({ weight }) => weight),
    config.at('unit').exists ? decimal(config.at('unit').text()).scale : digitsOf(vector),
  )
  const amounts = new Map(order.map(({ key }, i) => [key, parts[i] ?? ZERO]))
  return compareWith(vector.at('expected').raw, {
    allocations: items.flatMap(({ key }) => {
      const amount = amounts.get(key) ?? ZERO
      return isZero(amount) ? [] : [{ key, amount: toText(amount) }]
    }),
  })
}

const EMPTY_SERVICE = 'policy: a service without length takes up no share of its period'

function mapProration(vector: Field): Mapped {
  const config = vector.at('config')
  config.describes('basis', 'mode')
  const prorates = config.at('enabled').flag() && config.at('mode').text() === 'prorate_prices'
  const service = intervalOf(vector.at('usage', 'service_period'))
  const share = servedShare(
    service,
    intervalOf(vector.at('usage', 'full_service_period')),
    prorates ? 'second' : 'none',
    'UTC',
  )
  const amount = toText(shareOf(decimal(config.at('amount').text()), share, digitsOf(vector)))
  if (prorates && service.start === service.end && share.numerator === 0n)
    return excludedBy(EMPTY_SERVICE, { amount })
  return compareWith(vector.at('expected').raw, { amount })
}
