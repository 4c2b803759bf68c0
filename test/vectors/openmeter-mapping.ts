import { add, decimal, isZero, toText, ZERO } from '../../src/money/decimal.ts'
import type { Due, PeriodState } from '../../src/rating/charge.ts'
import { itemise } from '../../src/rating/itemise.ts'
import { lateUsage, type PartsKnown } from '../../src/rating/late-usage.ts'
import { rateDifference } from '../../src/rating/rate-difference.ts'
import { rate } from '../../src/rating/rate.ts'
import { mapBurnDown } from './openmeter-grants.ts'
import { mapInvoice } from './openmeter-invoices.ts'
import {
  expectedItem,
  expectedItems,
  type ItemJson,
  type ItemsJson,
  itemsJson,
  sorted,
} from './openmeter-items.ts'
import { quantity, request } from './openmeter-prices.ts'
import { openMeterFunctions } from './openmeter-rules.ts'
import { rated } from './terms.ts'
import { compareWith, excludedBy, type Field, type Mapped, type Mapping, type Siblings } from './vector.ts'

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

function mapPrice(vector: Field, siblings: Siblings): Mapped | Promise<Mapped> {
  const config = vector.at('config')
  if (config.at('function').exists) {
    const mapping = openMeterFunctions[config.at('function').text()]
    if (mapping === undefined) throw new Error(`no mapping for the function ${config.at('function').text()}`)
    return mapping(vector, siblings)
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
  // Follows from the quantity before: the amounts that are expected would differ, were it another.
  vector.at('usage').describes('previously_billed_amount')
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
