import type { ChargeTerms, Discount, Price, Tier, UnitConversion } from '../../src/catalog/price.ts'
import { allocate, shareOf } from '../../src/money/allocate.ts'
import { type Currency, minorUnitDigits, parseCurrency } from '../../src/money/currency.ts'
import {
  add,
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
import type { Due, PeriodState } from '../../src/rating/charge.ts'
import { type Item, itemise } from '../../src/rating/itemise.ts'
import { lateUsage, type PartsKnown } from '../../src/rating/late-usage.ts'
import { begunPackages } from '../../src/rating/package.ts'
import { servedShare } from '../../src/rating/proration.ts'
import { rateDifference } from '../../src/rating/rate-difference.ts'
import { rate } from '../../src/rating/rate.ts'
import type { Rated, RatedLine, RatingOutcome } from '../../src/rating/rating-outcome.ts'
import type { RatingRequest } from '../../src/rating/rating-request.ts'
import { tierReached, tierSlices } from '../../src/rating/tier-slices.ts'
import { convertUnits } from '../../src/rating/unit-conversion.ts'
import { type Interval, parseInstant } from '../../src/time/instant.ts'
import { mapBurnDown } from './openmeter-grants.ts'
import { compareWith, excludedBy, type Field, type Mapped, type Mapping } from './vector.ts'

/** By the vector's `model`. */
export const openMeterMappings: Readonly<Record<string, Mapping>> = {
  flat: mapPrice,
  unit: mapPrice,
  dynamic: mapPrice,
  package: mapPrice,
  tiered_graduated: mapPrice,
  tiered_volume: mapPrice,
  usage_discount: mapPrice,
  unit_conversion: mapPrice,
  maximum_spend: mapPrice,
  rounding: mapPrice,
  proportional_allocation: mapPrice,
  flat_proration: mapPrice,
  invoice: mapInvoice,
  grant_burndown: mapBurnDown,
}

function mapPrice(vector: Field): Mapped {
  const config = vector.at('config')
  if (config.at('function').exists) {
    const mapping = FUNCTIONS[config.at('function').text()]
    if (mapping === undefined) throw new Error(`no mapping for the function ${config.at('function').text()}`)
    return mapping(vector)
  }
  switch (config.at('engine').textOr('position')) {
    case 'position':
      return mapPosition(vector)
    case 'delta':
      return mapDelta(vector)
    case 'period_preserving':
      return mapPeriods(vector)
    case 'subtract_previous_rating':
      return mapSubtraction(vector)
    default:
      throw new Error(`no mapping for the engine ${config.at('engine').text()}`)
  }
}

const FUNCTIONS: Readonly<Record<string, Mapping>> = {
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

// --- prices ---------------------------------------------------------------------------------------------------------

function priceOf(price: Field): Price {
  const type = price.at('type').text()
  switch (type) {
    case 'flat':
      return { model: 'flat', amount: decimal(price.at('amount').text()) }
    case 'unit':
      return { model: 'unit', unitAmount: decimal(price.at('amount').text()) }
    case 'dynamic':
      return { model: 'dynamic', multiplier: decimal(price.at('multiplier').text()) }
    case 'package':
      return {
        model: 'package',
        packageSize: decimal(price.at('quantity_per_package').text()),
        amount: decimal(price.at('amount').text()),
        freeUnits: ZERO,
      }
    case 'tiered': {
      const tiers = price.at('tiers').list().map(tierOf)
      const mode = price.at('mode').text()
      if (mode !== 'graduated' && mode !== 'volume') throw new Error(`no tiers of mode ${mode}`)
      return { model: mode, tiers, flatFeeOnZeroUsage: true }
    }
    default:
      throw new Error(`no price of type ${type}`)
  }
}

function tierOf(tier: Field): Tier {
  const optional = (key: string): Decimal | null =>
    tier.at(key).exists ? decimal(tier.at(key).text()) : null
  return {
    upTo: optional('up_to'),
    unitAmount: optional('unit'),
    flatAmount: optional('flat'),
    packageSize: null,
  }
}

function termsOf(config: Field): ChargeTerms {
  const bound = (key: string): Decimal | null => {
    const field = config.at('commitments', key)
    return field.exists ? decimal(field.text()) : null
  }
  return {
    price: priceOf(config.at('price')),
    conversion: config.at('unit_config').exists ? conversionOf(config.at('unit_config')) : null,
    discounts: discountsOf(config.at('discounts')),
    minimum: config.at('options', 'ignore_minimum_commitment').flag() ? null : bound('minimum_amount'),
    maximum: bound('maximum_amount'),
  }
}

function discountsOf(discounts: Field): Discount[] {
  const usage = discounts.at('usage_quantity')
  const percentage = discounts.at('percentage')
  return [
    ...(usage.exists ? [{ kind: 'usage', units: decimal(usage.text()) } as const] : []),
    ...(percentage.exists ? [{ kind: 'percent', percent: decimal(percentage.text()) } as const] : []),
  ]
}

const CONVERSION_ROUNDINGS: Readonly<Record<string, UnitConversion['rounding']>> = {
  none: 'none',
  ceiling: 'ceiling',
  floor: 'floor',
  half_up: 'halfUp',
}

function conversionOf(config: Field): UnitConversion {
  const operation = config.at('operation').text()
  const rounding = CONVERSION_ROUNDINGS[config.at('rounding').textOr('none')]
  if (rounding === undefined || (operation !== 'divide' && operation !== 'multiply')) {
    throw new Error('no such unit conversion')
  }
  const digits = config.at('precision').exists ? config.at('precision').number() : 0
  return { operation, factor: decimal(config.at('conversion_factor').text()), rounding, digits }
}

function currencyOf(vector: Field): Currency {
  const code = vector.at('currency').text()
  const currency = parseCurrency(code)
  if (currency === null) throw new Error(`no currency ${code}`)
  return currency
}

/** Digits of the currency; units of account that are no currency say theirs, as in `CREDITS(4dp)`. */
function digitsOf(vector: Field): number {
  const digits = /\((\d+)dp\)/.exec(vector.at('currency').text())?.[1]
  return digits === undefined ? minorUnitDigits(currencyOf(vector)) : Number(digits)
}

function request(vector: Field): Omit<RatingRequest, 'quantity'> {
  return { ...termsOf(vector.at('config')), currency: currencyOf(vector) }
}

function quantity(vector: Field, key: string): Decimal {
  return decimal(vector.at('usage', key).textOr('0'))
}

function rated(outcome: RatingOutcome): Rated {
  if (outcome.kind === 'refused') throw new Error(`${outcome.error.pointer}: ${outcome.error.detail}`)
  return outcome
}

// --- one line of a period, by its position --------------------------------------------------------------------------

const CONVERSION_ALWAYS = 'policy: the unit conversion of a price has no switch'
const CUMULATIVE_CONVERSION =
  'policy: split periods convert and round the cumulative quantity, so that the parts add up to the whole'

function mapPosition(vector: Field): Mapped {
  const config = vector.at('config')
  const position = config.at('line_position').text()
  const credits = config.at('credits').listOrNone()
  const whole = position === 'single_period'
  const terms = request(vector)
  const outcome = rated(
    rate({
      ...terms,
      quantity: quantity(vector, 'line_period_qty'),
      part: whole ? 'whole' : position === 'last_in_period_split' ? 'closing' : 'open',
      ...(whole || position === 'first_in_period_split'
        ? {}
        : { previousQuantity: quantity(vector, 'pre_line_period_qty') }),
      payment:
        config.at('price', 'payment_term').textOr('in_arrears') === 'in_advance' ? 'inAdvance' : 'inArrears',
    }),
  )
  const itemised = itemise(
    outcome,
    terms.currency,
    credits.map((credit) => decimal(credit.text())),
  )
  if (config.at('options', 'unit_config_enabled').raw === false) {
    return excludedBy(CONVERSION_ALWAYS, itemsJson(itemised.items))
  }
  const rounds = terms.conversion !== null && terms.conversion.rounding !== 'none'
  if (rounds && !isZero(quantity(vector, 'pre_line_period_qty'))) {
    return excludedBy(CUMULATIVE_CONVERSION, itemsJson(itemised.items))
  }
  const expected = vector.at('expected')
  if (expected.at('error').exists) {
    return compareWith(
      expected.at('error').text(),
      isZero(itemised.creditsLeft) ? 'none' : 'credits_not_fully_consumed',
    )
  }
  return compareWith(expectedItems(expected), itemsJson(itemised.items))
}

// --- running totals: what each run bills is the difference to the run before --------------------------------------------

function mapDelta(vector: Field): Mapped {
  const terms = request(vector)
  const isDynamic = terms.price.model === 'dynamic'
  let before: PeriodState | null = null
  const actual = vector
    .at('usage', 'runs')
    .list()
    .map((run) => {
      const due: Due = { volume: true, flat: true, minimum: run.at('final').flag() }
      const usage = { quantity: decimal(run.at('cumulative_qty').text()), groups: null }
      const now: PeriodState = { usage, due }
      const outcome = rated(rateDifference(terms, terms.currency, now, before))
      before = now
      return itemsJson(itemise(outcome, terms.currency).items)
    })
  const expected = vector.at('expected', 'runs').list().map(expectedItems)
  return isDynamic ? compareWith(expected.map(totalOf), actual.map(totalOf)) : compareWith(expected, actual)
}

/** A dynamic price's quantity is money, so that differences net into one line: the vectors write two. */
function totalOf(items: ItemsJson): string {
  return items.total
}

function mapPeriods(vector: Field): Mapped {
  const terms = request(vector)
  let before: PartsKnown = { cumulative: [], closed: false }
  const actual = vector
    .at('usage', 'runs')
    .list()
    .map((run) => {
      const now: PartsKnown = {
        cumulative: run
          .at('cumulative_qty_at_each_period_end')
          .list()
          .map((field) => decimal(field.text())),
        closed: run.at('final').flag(),
      }
      const parts = lateUsage(terms, terms.currency, now, before).map((outcome) =>
        itemsJson(itemise(rated(outcome), terms.currency).items),
      )
      before = now
      return {
        lines: sorted(
          parts.flatMap(({ lines }, i) => lines.map((line) => ({ ...ofPart(line), part: String(i + 1) }))),
        ),
        total: toText(parts.reduce((sum, part) => add(sum, decimal(part.total)), ZERO)),
      }
    })
  const expected = vector
    .at('expected', 'runs')
    .list()
    .map((run) => ({
      lines: sorted(
        run
          .at('lines')
          .list()
          .map((line) => ({ ...ofPart(expectedItem(line)), part: line.at('service_period').text() })),
      ),
      total: toText(decimal(run.at('total').text())),
    }))
  return compareWith(expected, actual)
}

/** Where only a reduction changed, the vectors write it on a line of nothing, and we by itself. */
function ofPart(line: ItemJson): ItemJson {
  return line.quantity === '0' || (line.discounts.length > 0 && line.amount === '0')
    ? { ...line, ref: 'reduction', quantity: '0', perUnit: '0' }
    : line
}

const SMALL_LINES_STAY = 'policy: a line that rounds to nothing stays, because its units were used'

function mapSubtraction(vector: Field): Mapped {
  const terms = request(vector)
  const state = (key: string, minimumDue: boolean): PeriodState => ({
    usage: { quantity: quantity(vector, key), groups: null },
    due: { volume: true, flat: true, minimum: minimumDue },
  })
  const before = state('previous_qty', vector.at('config', 'minimum_applied_to_previous').flag())
  const outcome = rated(rateDifference(terms, terms.currency, state('new_qty', true), before))
  const actual = itemsJson(itemise(outcome, terms.currency).items)
  const expected = expectedItems(vector.at('expected'))
  const rounded = actual.lines.filter((line) => line.amount === '0' && line.perUnit !== '0')
  if (
    expected.total === actual.total &&
    expected.lines.length + rounded.length === actual.lines.length &&
    rounded.length > 0
  ) {
    return excludedBy(SMALL_LINES_STAY, actual)
  }
  return compareWith(expected, actual)
}

// --- single rules -------------------------------------------------------------------------------------------------------

function mapSlices(vector: Field): Mapped {
  const terms = request(vector)
  const { price } = terms
  if (price.model !== 'graduated') throw new Error('not a graduated price')
  const from = quantity(vector, 'from')
  const to = quantity(vector, 'to')
  const amountAt = (at: Decimal): string => toText(rated(rate({ ...terms, quantity: at })).amount)
  const before = tierSlices(price.tiers, from)
  const slices = tierSlices(price.tiers, to).flatMap((slice) => {
    const earlier = before.find((other) => other.number === slice.number)
    const inSlice = subtract(slice.quantity, earlier?.quantity ?? ZERO)
    if (isZero(inSlice)) return []
    const start = price.tiers[slice.number - 2]?.upTo ?? ZERO
    return [
      {
        tier: slice.number,
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
  const terms: ChargeTerms = { price, conversion: null, discounts: [free], minimum: null, maximum: null }
  const previous = quantity(vector, 'pre_line_period_qty')
  const used = quantity(vector, 'quantity')
  const of = (outcome: RatingOutcome, kind: RatedLine['kind']): string =>
    toText(rated(outcome).lines.find((line) => line.kind === kind)?.quantity ?? ZERO)
  const common = { ...terms, currency: currencyOf(vector) }
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
      price: { model: 'dynamic', multiplier: decimal('1') },
      conversion: null,
      discounts: [],
      minimum: null,
      maximum: decimal(config.at('maximum_amount').text()),
      currency: currencyOf(vector),
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
  const items = vector
    .at('usage', 'items')
    .list()
    .map((item) => ({ key: item.at('key').text(), weight: decimal(item.at('weight').text()) }))
  const byKey = vector.at('config', 'tie_break').textOr('input order') === 'key ascending'
  const order = byKey ? [...items].sort((a, b) => (a.key < b.key ? -1 : 1)) : items
  const parts = allocate(
    decimal(vector.at('usage', 'amount').text()),
    order.map(({ weight }) => weight),
    digitsOf(vector),
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

function intervalOf(field: Field): Interval {
  const [start, end] = field.list().map((instant) => parseInstant(instant.text()))
  if (start === undefined || start === null || end === undefined || end === null)
    throw new Error('no interval')
  return { start, end }
}

// --- whole invoices -------------------------------------------------------------------------------------------------------

function mapInvoice(vector: Field): Mapped {
  return vector.at('config', 'billing').text() === 'progressive'
    ? mapProgressive(vector)
    : mapOneInvoice(vector)
}

function mapOneInvoice(vector: Field): Mapped {
  const currency = currencyOf(vector)
  const lines = vector
    .at('config', 'lines')
    .list()
    .map((line) => {
      const id = line.at('id').text()
      const outcome = rated(rate({ ...termsOf(line), currency, quantity: quantity(vector, id) }))
      return { id, items: itemise(outcome, currency).items, amount: outcome.amount }
    })
  const items = lines.flatMap((line) => line.items)
  const sum = (amounts: readonly Decimal[]): string => toText(amounts.reduce(add, ZERO))
  const isMinimum = (item: Item): boolean => item.line.kind === 'minimum'
  return compareWith(vector.at('expected').raw, {
    line_totals: Object.fromEntries(lines.map(({ id, amount }) => [id, toText(amount)])),
    invoice: {
      amount: sum(items.filter((item) => !isMinimum(item)).map((item) => item.amount)),
      charges_total: sum(items.filter(isMinimum).map((item) => item.amount)),
      discounts_total: sum(items.flatMap((item) => item.reductions.map((reduction) => reduction.amount))),
      total: sum(lines.map((line) => line.amount)),
    },
  })
}

function mapProgressive(vector: Field): Mapped {
  const currency = currencyOf(vector)
  const lines = vector.at('config', 'lines').list()
  const invoices = vector.at('usage', 'invoices').list()
  const before = new Map<string, Decimal>()
  const actual = invoices.map((invoice, i) => ({
    line_totals: Object.fromEntries(
      lines.map((line) => {
        const id = line.at('id').text()
        const used = decimal(invoice.at(id).text())
        const previous = before.get(id)
        before.set(id, add(used, previous ?? ZERO))
        const outcome = rate({
          ...termsOf(line),
          currency,
          quantity: used,
          ...(previous === undefined ? {} : { previousQuantity: previous }),
          part: i === invoices.length - 1 ? 'closing' : 'open',
        })
        return [id, toText(rated(outcome).amount)]
      }),
    ),
  }))
  return compareWith(vector.at('expected', 'invoices').raw, actual)
}

// --- items as the vectors write them ----------------------------------------------------------------------------------

interface ItemJson {
  readonly ref: string
  readonly quantity: string
  readonly perUnit: string
  readonly amount: string
  readonly discounts: readonly (readonly [string, string])[]
  readonly credits: readonly string[]
  readonly total: string
}

interface ItemsJson {
  readonly lines: readonly ItemJson[]
  readonly total: string
}

function itemsJson(items: readonly Item[]): ItemsJson {
  return {
    lines: sorted(items.map(itemJson)),
    total: toText(items.reduce((sum, item) => add(sum, item.total), ZERO)),
  }
}

/** The quantity of a dynamic price is money: the vectors write it as one unit of the amount. */
function itemJson({ line, amount, reductions, credits, total }: Item): ItemJson {
  const once = line.kind === 'minimum' || line.kind === 'dynamic'
  return {
    ref: refOf(line),
    quantity: once ? '1' : toText(line.quantity),
    perUnit: toText(once ? amount : line.unitAmount),
    amount: toText(amount),
    discounts: reductions.map(({ kind, amount: reduced }) => [DISCOUNT_KINDS[kind], toText(reduced)]),
    credits: credits.map(toText),
    total: toText(total),
  }
}

const DISCOUNT_KINDS = {
  percentDiscount: 'percentage',
  amountDiscount: 'amount',
  maximum: 'maximum_spend',
} as const

function refOf(line: RatedLine): string {
  switch (line.kind) {
    case 'flat':
      return 'flat-price'
    case 'usage':
      return 'unit-price-usage'
    case 'tierUsage':
      return `graduated-tiered-${String(line.tier)}-price-usage`
    case 'tierFlat':
      return `graduated-tiered-${String(line.tier)}-flat-price`
    case 'volumeUsage':
      return 'volume-tiered-price'
    case 'volumeFlat':
      return 'volume-flat-price'
    case 'minimum':
      return 'min-spend'
    default:
      return 'usage'
  }
}

function expectedItems(expected: Field): ItemsJson {
  return {
    lines: sorted(expected.at('lines').list().map(expectedItem)),
    total: toText(decimal(expected.at('total').text())),
  }
}

function expectedItem(line: Field): ItemJson {
  const amount = line.at('amount').exists ? line.at('amount') : line.at('charges_total')
  const text = (field: Field): string => toText(decimal(field.text()))
  return {
    ref: line.at('ref').text(),
    quantity: text(line.at('quantity')),
    perUnit: text(line.at('per_unit_amount')),
    amount: text(amount),
    discounts: line
      .at('discounts')
      .listOrNone()
      .map((discount) => [discount.at('kind').text(), text(discount.at('amount'))]),
    credits: line.at('credits').listOrNone().map(text),
    total: text(line.at('total')),
  }
}

function sorted(lines: readonly ItemJson[]): ItemJson[] {
  return [...lines].sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))
}
