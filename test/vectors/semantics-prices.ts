import type { Price, Tier } from '../../src/catalog/price.ts'
import { add, type Decimal, decimal, ONE, subtract, toText, ZERO } from '../../src/money/decimal.ts'
import { progressiveCredits, thresholdBill } from '../../src/rating/progressive.ts'
import { sumOfLines } from '../../src/rating/rated-line.ts'
import type { RatedLine } from '../../src/rating/rating-outcome.ts'
import { bare, decimalOf, decimals, exactAmount, optionalDecimal, rateOf, sumOf, tiersOf } from './terms.ts'
import { compareWith, type Field, type Mapped, type Mapping, type Siblings } from './vector.ts'

const MEMBERS = { unit: 'unit', flat: 'flat' }

/** Prices of the topics, by `topic`. */
export const semanticsPrices: Readonly<Record<string, Mapping>> = {
  tiers_graduated: mapTiers('graduated'),
  tiers_volume: mapTiers('volume'),
  tiers_package: mapPackages,
  rating_percentage: mapPercentage,
  hybrid_rating: mapHybrid,
  time_band_rating: mapTimeBands,
  late_usage: mapLateUsage,
  minimum_commit: mapMinimum,
  spend_cap: mapMaximum,
  threshold_billing: mapThreshold,
}

type Mode = 'graduated' | 'volume'

/** Sources charge the first tier's flat amount at zero usage, too. */
function tiered(model: Mode, tiers: readonly Tier[]): Price {
  return { model, tiers, flatFeeOnZeroUsage: true }
}

function mapTiers(mode: Mode): Mapping {
  return (vector) => {
    const input = vector.at('input')
    const expected = vector.at('expected')
    const tiers = tiersOf(input.at('tiers'), MEMBERS)
    if (input.at('already_billed_quantity').exists) return mapSplit(vector, tiered(mode, tiers))
    if (input.at('quantities').exists) {
      const amounts = decimals(input.at('quantities')).map((quantity) =>
        toText(exactAmount(tiered(mode, tiers), quantity)),
      )
      return compareWith(expected.raw, { amounts })
    }
    if (input.at('usage').exists) {
      const quantity = sumOf(decimals(input.at('usage')))
      return compareWith(expected.raw, {
        quantity: toText(quantity),
        amount: toText(exactAmount(tiered(mode, tiers), quantity)),
      })
    }
    const quantity = decimalOf(input.at('quantity'))
    if (expected.at('amount').exists) {
      return compareWith(expected.raw, { amount: toText(exactAmount(tiered(mode, tiers), quantity)) })
    }
    return compareWith(expected.raw, {
      graduated: toText(exactAmount(tiered('graduated', tiers), quantity)),
      volume: toText(exactAmount(tiered('volume', tiers), quantity)),
    })
  }
}

/** The part of a period after an earlier part. */
function mapSplit(vector: Field, price: Price): Mapped {
  const input = vector.at('input')
  const expected = vector.at('expected')
  const whole = decimalOf(input.at('quantity'))
  const before = decimalOf(input.at('already_billed_quantity'))
  const split = rateOf(bare(price), subtract(whole, before), { previousQuantity: before })
  return compareWith(expected.raw, {
    whole_period: toText(exactAmount(price, whole)),
    second_split: toText(split.amount),
    ...(expected.at('second_split_lines').exists
      ? { second_split_lines: split.lines.map((line) => toText(line.amount)) }
      : {}),
  })
}

/** Blocks in tiers: the last price goes on beyond the last tier's end. */
function mapPackages(vector: Field): Mapped {
  const input = vector.at('input')
  const expected = vector.at('expected')
  if (input.at('package_size').exists) {
    const quantity = decimalOf(input.at('quantity'))
    const free = input.at('free_units').isList
      ? decimals(input.at('free_units'))
      : [decimalOf(input.at('free_units'))]
    const amounts = free.map((freeUnits) =>
      toText(
        exactAmount(
          {
            model: 'package',
            packageSize: decimalOf(input.at('package_size')),
            amount: decimalOf(input.at('package_price')),
            freeUnits,
          },
          quantity,
        ),
      ),
    )
    return compareWith(expected.raw, { amounts })
  }
  const mode = input.at('mode').text()
  if (mode !== 'graduated' && mode !== 'volume') throw new Error(`no blocks of mode ${mode}`)
  const price = tiered(mode, blocksOf(input.at('blocks')))
  if (input.at('quantities').exists) {
    const amounts = decimals(input.at('quantities')).map((quantity) => toText(exactAmount(price, quantity)))
    return compareWith(expected.raw, { amounts })
  }
  const { lines } = rateOf(bare(price), decimalOf(input.at('quantity')))
  return compareWith(expected.raw, {
    ...(expected.at('lines').exists ? { lines: lines.map((line) => toText(line.amount)) } : {}),
    amount: toText(sumOfLines(lines)),
  })
}

function blocksOf(blocks: Field): Tier[] {
  const list = blocks.list()
  let end = ZERO
  return list.map((block, i) => {
    const size = decimalOf(block.at('size'))
    const max = block.at('max_blocks')
    if (max.exists) {
      for (let left = max.number(); left > 0; left--) end = add(end, size)
    }
    return {
      upTo: i === list.length - 1 ? null : end,
      unitAmount: decimalOf(block.at('price')),
      flatAmount: null,
      packageSize: size,
    }
  })
}

function mapPercentage(vector: Field): Mapped {
  const input = vector.at('input')
  const price: Price = {
    model: 'percentage',
    rate: decimalOf(input.at('rate_pct')),
    fixedAmount: optionalDecimal(input.at('fixed_per_event')) ?? ZERO,
    perEvent: null,
    freeUnits: optionalDecimal(input.at('free_total')) ?? ZERO,
    freeEvents: input.at('free_events').exists ? input.at('free_events').number() : 0,
  }
  const events = { kind: 'count', count: input.at('events').number() } as const
  return compareWith(vector.at('expected').raw, {
    amount: toText(rateOf(bare(price), decimalOf(input.at('total')), { events }).exactAmount),
  })
}

function blocks(of: Field): Price {
  return {
    model: 'package',
    packageSize: decimalOf(of.at('block')),
    amount: decimalOf(of.at('price')),
    freeUnits: ZERO,
  }
}

function mapHybrid(vector: Field): Mapped {
  const amounts = vector
    .at('input', 'units')
    .list()
    .map((unit) => {
      unit.describes('unit')
      return exactAmount(blocks(unit), decimalOf(unit.at('quantity')))
    })
  return compareWith(vector.at('expected').raw, { amount: toText(sumOf(amounts)) })
}

/** Rates by how long something lasts are tiers of its seconds. */
function mapTimeBands(vector: Field): Mapped {
  const input = vector.at('input')
  const groups = input.at('groups').list()
  if (groups[0] === undefined || toText(decimalOf(groups[0].at('from_s'))) !== '0') {
    throw new Error('the first group must begin at 0')
  }
  const tiers = groups.map((group, i) => ({
    upTo: optionalDecimal(groups[i + 1]?.at('from_s') ?? group.at('end_s')),
    unitAmount: decimalOf(group.at('per_second')),
    flatAmount: null,
    packageSize: null,
  }))
  const { lines, exactAmount: cost } = rateOf(
    bare(tiered('graduated', tiers)),
    decimalOf(input.at('seconds')),
  )
  return compareWith(vector.at('expected').raw, {
    parts: lines.map((line) => toText(line.amount)),
    cost: toText(cost),
  })
}

/** All of the period is rated again; what was invoiced is taken off. */
function mapLateUsage(vector: Field): Mapped {
  const input = vector.at('input')
  const price = input.at('tiers').exists
    ? tiered(
        input.at('mode').textOr('') === 'volume' ? 'volume' : 'graduated',
        tiersOf(input.at('tiers'), MEMBERS),
      )
    : blocks(input)
  const full = rateOf(bare(price), sumOf(decimals(input.at('usage')))).amount
  return compareWith(vector.at('expected').raw, {
    full_amount: toText(full),
    delta_to_invoice: toText(subtract(full, decimalOf(input.at('already_invoiced')))),
  })
}

/** Tiers that a vector takes over from another one, which its file may lack: the sources' own fixtures. */
const NAMED_TIERS: Readonly<Record<string, Price>> = {
  'TIER-017': tiered('graduated', [
    namedTier('5', '0', '100'),
    namedTier('10', '0', '50'),
    namedTier('15', '5', null),
    namedTier(null, '1', null),
  ]),
  'TIER-019': tiered('volume', [
    namedTier('5', null, '100'),
    namedTier('10', null, '150'),
    namedTier('15', '10', null),
    namedTier(null, '5', null),
  ]),
}

function namedTier(upTo: string | null, unit: string | null, flat: string | null): Tier {
  return {
    upTo: upTo === null ? null : decimal(upTo),
    unitAmount: unit === null ? null : decimal(unit),
    flatAmount: flat === null ? null : decimal(flat),
    packageSize: null,
  }
}

function priceNamed(input: Field, siblings: Siblings): Price {
  const id = input.at('same_tiers_as').text()
  const other = siblings(id)
  if (other !== undefined) {
    const mode = other.at('topic').text() === 'tiers_volume' ? 'volume' : 'graduated'
    return tiered(mode, tiersOf(other.at('input', 'tiers'), MEMBERS))
  }
  const named = NAMED_TIERS[id]
  if (named === undefined) throw new Error(`no vector ${id} in the file`)
  return named
}

function amountOfKind(lines: readonly RatedLine[], kind: RatedLine['kind']): Decimal {
  return sumOfLines(lines.filter((line) => line.kind === kind))
}

function mapMinimum(vector: Field, siblings: Siblings): Mapped {
  const input = vector.at('input')
  const terms = { ...bare(priceNamed(input, siblings)), minimum: decimalOf(input.at('minimum_spend')) }
  const { lines, exactAmount: total } = rateOf(terms, decimalOf(input.at('quantity')))
  const trueUp = amountOfKind(lines, 'minimum')
  return compareWith(vector.at('expected').raw, {
    usage: toText(subtract(total, trueUp)),
    true_up: toText(trueUp),
    total: toText(total),
  })
}

function mapMaximum(vector: Field, siblings: Siblings): Mapped {
  const input = vector.at('input')
  const terms = { ...bare(priceNamed(input, siblings)), maximum: decimalOf(input.at('maximum_spend')) }
  const before = decimalOf(input.at('already_billed_quantity'))
  const earlier = rateOf(terms, before).amount
  if (toText(earlier) !== toText(decimalOf(input.at('already_billed_amount')))) {
    throw new Error(`the part before comes to ${toText(earlier)}`)
  }
  const split = rateOf(terms, subtract(decimalOf(input.at('quantity')), before), { previousQuantity: before })
  const discount = subtract(ZERO, amountOfKind(split.lines, 'maximum'))
  return compareWith(vector.at('expected').raw, {
    second_split_gross: toText(add(split.exactAmount, discount)),
    discount: toText(discount),
    second_split_net: toText(split.amount),
  })
}

/** `31.00 arrears` and units; a bill when a threshold is crossed, and all of it less that bill at the end. */
function mapThreshold(vector: Field): Mapped {
  const input = vector.at('input')
  const [fee = '', payment] = input.at('base_fee').text().split(' ')
  if (payment !== 'arrears') throw new Error('the fee must be in arrears')
  const price: Price = { model: 'unit', unitAmount: decimalOf(input.at('unit')) }
  const thresholds = { amounts: [decimalOf(input.at('threshold'))], step: null }
  let used = ZERO
  let billed = ZERO
  const bills: [string, string][] = []
  for (const event of input.at('events').list()) {
    used = add(used, decimalOf(event.at(1)))
    const bill = thresholdBill(thresholds, rateOf(bare(price), used).amount, billed)
    const day = event.at(0).text().replaceAll('-', '_')
    if (bill === null) continue
    billed = add(billed, bill)
    bills.push([`progressive_invoice_${day}`, toText(bill)])
  }
  const usage = rateOf(bare(price), used).amount
  const fees = add(rateOf(bare({ model: 'flat', amount: decimal(fee) }), ONE).amount, usage)
  const [credit = ZERO] = progressiveCredits([usage], [billed])
  const final = vector
    .at('expected')
    .entries()
    .find(([name]) => name.startsWith('final_invoice_'))
  return compareWith(vector.at('expected').raw, {
    ...Object.fromEntries(bills),
    [final?.[0] ?? 'final_invoice']: {
      fees: toText(fees),
      progressive_credit: toText(credit),
      total: toText(subtract(fees, credit)),
    },
  })
}
