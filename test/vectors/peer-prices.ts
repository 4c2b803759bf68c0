import type { PackagePrice, Price, Tier, UnitConversion } from '../../src/catalog/price.ts'
import { add, type Decimal, decimal, ONE, subtract, toText, ZERO } from '../../src/money/decimal.ts'
import { rateProratedGraduated } from '../../src/rating/prorated-graduated.ts'
import { sumOfLines } from '../../src/rating/rated-line.ts'
import { rateVolume } from '../../src/rating/volume.ts'
import { roundRational } from '../../src/money/rational.ts'
import {
  bare,
  decimalOf,
  decimals,
  exactAmount,
  exactQuotient,
  optionalDecimal,
  percentageTiersOf,
  rateOf,
  shareOfPercent,
  sumOf,
  tiersOf,
  wanted,
} from './terms.ts'
import { compareWith, type Field, type Mapped, type Mapping } from './vector.ts'

const MEMBERS = { unit: 'unit_amount', flat: 'flat_amount' }

/** Prices of Lago, Flexprice, Meteroid and Autumn, by the vector's `model`. */
export const peerPrices: Readonly<Record<string, Mapping>> = {
  standard: amountOf(unitPrice),
  standard_rounded: mapRounded,
  graduated: amountOf(tieredPrice('graduated')),
  volume: amountOf(tieredPrice('volume')),
  graduated_billing_units: amountOf(tieredPrice('graduated')),
  volume_billing_units: amountOf(tieredPrice('volume')),
  volume_with_allowance: amountOf(tieredPrice('volume')),
  package: amountOf(packagePrice),
  graduated_percentage: amountOf(graduatedPercentagePrice),
  graduated_negative: mapNegative,
  graduated_tier_detail: mapTierDetail,
  graduated_percentage_tier_detail: mapTierDetail,
  bucketed_standard: mapBuckets(unitPrice),
  bucketed_graduated: mapBuckets(tieredPrice('graduated')),
  bucketed_volume: mapBuckets(tieredPrice('volume')),
  bucketed_package: mapBuckets(packagePrice),
  dynamic: mapDynamic,
  percentage: mapPercentage,
  percentage_per_transaction_min_max: mapPercentage,
  volume_prorated: mapVolumeProrated,
  prorated_graduated: mapProratedGraduated,
}

/** A price, and the conversion of units that goes before it. */
interface Priced {
  readonly price: Price
  readonly conversion: UnitConversion | null
}

function unitPrice(vector: Field): Priced {
  return { price: unitAt(decimalOf(vector.at('config', 'unit_amount'))), conversion: null }
}

function unitAt(unitAmount: Decimal): Price {
  return { model: 'unit', unitAmount }
}

/** Units that are sold in steps are converted up to whole steps first, and the tiers are told in steps. */
function tieredPrice(model: 'graduated' | 'volume'): (vector: Field) => Priced {
  return (vector) => {
    const config = vector.at('config')
    config.describes('peer_encoding', 'adjacent_bounds')
    config.says('rounding', 'up to a multiple of billing_units before tiering', 'up before tier selection')
    const step = optionalDecimal(config.at('billing_units'))
    const allowance = optionalDecimal(config.at('allowance'))
    const listed = config.at('tiers_first_unit').exists
      ? tiersFromFirstUnits(config.at('tiers_first_unit'))
      : tiersOf(config.at('tiers'), MEMBERS)
    const shifted = allowance === null ? listed : afterAllowance(listed, allowance)
    const tiers = step === null ? shifted : shifted.map((tier) => inSteps(tier, step))
    return {
      price: { model, tiers, flatFeeOnZeroUsage: chargesFlatAtZero(vector) },
      conversion:
        step === null ? null : { operation: 'divide', factor: step, rounding: 'ceiling', digits: 0 },
    }
  }
}

/** Where a vector does not say, its source decides: Lago charges the first tier's flat amount at zero usage. */
function chargesFlatAtZero(vector: Field): boolean {
  const flag = vector.at('config', 'flat_fee_on_zero_usage')
  return flag.exists ? flag.flag() : vector.at('source_repo').textOr('').includes('lago')
}

/** A tier that begins at a unit ends the one before just below it; quantities have at most nine digits behind the point. */
function tiersFromFirstUnits(rows: Field): Tier[] {
  const list = rows.list()
  return list.map((row, i) => {
    const next = list[i + 1]
    row.describes('first_unit')
    return {
      upTo: next === undefined ? null : subtract(decimalOf(next.at('first_unit')), decimal('0.000000001')),
      unitAmount: decimalOf(row.at('unit_amount')),
      flatAmount: null,
      packageSize: null,
    }
  })
}

function afterAllowance(tiers: readonly Tier[], allowance: Decimal): Tier[] {
  return [
    { upTo: allowance, unitAmount: ZERO, flatAmount: null, packageSize: null },
    ...tiers.map((tier) => ({ ...tier, upTo: tier.upTo === null ? null : add(tier.upTo, allowance) })),
  ]
}

function inSteps(tier: Tier, step: Decimal): Tier {
  return { ...tier, upTo: tier.upTo === null ? null : exactQuotient(tier.upTo, step) }
}

/** Packages that are rounded down are whole units of their size: a conversion before a price for each. */
function packagePrice(vector: Field): Priced {
  const config = vector.at('config')
  const packageSize = decimalOf(config.at('package_size'))
  const amount = decimalOf(config.at('package_amount'))
  const freeUnits = optionalDecimal(config.at('free_units')) ?? ZERO
  const rounding = config.at('rounding').textOr('up')
  if (rounding === 'up') {
    const price: PackagePrice = { model: 'package', packageSize, amount, freeUnits }
    return { price, conversion: null }
  }
  if (rounding !== 'down' || toText(freeUnits) !== '0') throw new Error(`no packages rounded ${rounding}`)
  return {
    price: unitAt(amount),
    conversion: { operation: 'divide', factor: packageSize, rounding: 'floor', digits: 0 },
  }
}

function graduatedPercentagePrice(vector: Field): Priced {
  const tiers = percentageTiersOf(vector.at('config', 'tiers'))
  return {
    price: { model: 'graduatedPercentage', tiers, flatFeeOnZeroUsage: chargesFlatAtZero(vector) },
    conversion: null,
  }
}

function exactOf({ price, conversion }: Priced, quantity: Decimal): Decimal {
  return rateOf({ ...bare(price), conversion }, quantity).exactAmount
}

function amountOf(read: (vector: Field) => Priced): (vector: Field) => Mapped {
  return (vector) =>
    compareWith(wanted(vector).raw, {
      amount: toText(exactOf(read(vector), decimalOf(vector.at('usage', 'units')))),
    })
}

function mapRounded(vector: Field): Mapped {
  const { price } = unitPrice(vector)
  const { amount } = rateOf(
    bare(price),
    decimalOf(vector.at('usage', 'units')),
    {},
    vector.at('config', 'currency').text(),
  )
  return compareWith(wanted(vector).raw, { amount: toText(amount) })
}

/** Each window is rated by itself, from the first tier on. */
function mapBuckets(read: (vector: Field) => Priced): Mapping {
  return (vector) => {
    const priced = read(vector)
    const buckets = decimals(vector.at('usage', 'bucket_values'))
    return compareWith(wanted(vector).raw, {
      amount: toText(sumOf(buckets.map((quantity) => exactOf(priced, quantity)))),
    })
  }
}

/** More taken back than used. */
function mapNegative(vector: Field): Mapped {
  if (!vector.at('config', 'allow_negative').flag()) throw new Error('negative units must be allowed')
  return amountOf(tieredPrice('graduated'))(vector)
}

/** One tier by itself, with free units below it. With whole bounds, a tier from 11 holds what is above 10. */
function mapTierDetail(vector: Field): Mapped {
  const config = vector.at('config')
  const from = decimalOf(config.at('from'))
  const whole = !config.at('adjacent_bounds').flag() && toText(from) !== '0'
  const start = whole ? subtract(from, ONE) : from
  const flatAmount = optionalDecimal(config.at('flat_amount'))
  const isFirst = toText(start) === '0'
  const below = isFirst ? [] : [start]
  const end = optionalDecimal(config.at('to'))
  const rest = end === null ? [] : [null]
  const price: Price = config.at('rate_percent').exists
    ? {
        model: 'graduatedPercentage',
        tiers: [
          ...below.map((upTo) => ({ upTo, rate: ZERO, flatAmount: null })),
          { upTo: end, rate: decimalOf(config.at('rate_percent')), flatAmount },
          ...rest.map((upTo) => ({ upTo, rate: ZERO, flatAmount: null })),
        ],
        flatFeeOnZeroUsage: true,
      }
    : {
        model: 'graduated',
        tiers: [
          ...below.map((upTo) => ({ upTo, unitAmount: ZERO, flatAmount: null, packageSize: null })),
          { upTo: end, unitAmount: decimalOf(config.at('unit_amount')), flatAmount, packageSize: null },
          ...rest.map((upTo) => ({ upTo, unitAmount: ZERO, flatAmount: null, packageSize: null })),
        ],
        flatFeeOnZeroUsage: true,
      }
  const lines = rateOf(bare(price), decimalOf(vector.at('usage', 'total_units'))).lines.filter(
    (line) => line.tier === below.length + 1,
  )
  const used = lines.find((line) => line.kind === 'tierUsage' || line.kind === 'percentage')
  return compareWith(wanted(vector).raw, {
    tier_units: toText(used?.quantity ?? ZERO),
    tier_total: toText(sumOfLines(lines)),
  })
}

/** The caller sends amounts of money. */
function mapDynamic(vector: Field): Mapped {
  vector.at('config').describes('source')
  const cents = decimalOf(vector.at('usage', 'precise_total_amount_cents'))
  const units = decimalOf(vector.at('usage', 'units'))
  const amount = exactAmount({ model: 'dynamic', multiplier: ONE }, shareOfPercent(cents))
  return compareWith(wanted(vector).raw, {
    amount: toText(amount),
    unit_amount: toText(exactQuotient(amount, units)),
  })
}

function mapPercentage(vector: Field): Mapped {
  const config = vector.at('config')
  const min = optionalDecimal(config.at('per_transaction_min'))
  const max = optionalDecimal(config.at('per_transaction_max'))
  const price: Price = {
    model: 'percentage',
    rate: decimalOf(config.at('rate_percent')),
    fixedAmount: optionalDecimal(config.at('fixed_amount_per_event')) ?? ZERO,
    perEvent: min === null && max === null ? null : { min, max },
    freeUnits: optionalDecimal(config.at('free_amount')) ?? ZERO,
    freeEvents: config.at('free_events').exists ? config.at('free_events').number() : 0,
  }
  const { sum, events } = eventsOf(vector.at('usage'))
  return compareWith(wanted(vector).raw, {
    amount: toText(rateOf(bare(price), sum, { events }).exactAmount),
  })
}

/** The events themselves, or what the running total of the first ones says of them, or only how many they are. */
function eventsOf(usage: Field): {
  readonly sum: Decimal
  readonly events: { kind: 'amounts'; amounts: Decimal[] } | { kind: 'count'; count: number }
} {
  usage.describes('running_total_of_free_candidate_events')
  if (usage.at('event_values').exists) {
    usage.describes('aggregate', 'event_count')
    const amounts = decimals(usage.at('event_values'))
    return { sum: sumOf(amounts), events: { kind: 'amounts', amounts } }
  }
  const sum = decimalOf(usage.at('aggregate'))
  return { sum, events: { kind: 'count', count: usage.at('event_count').number() } }
}

/** The full units choose the tier, the prorated ones are charged. */
function mapVolumeProrated(vector: Field): Mapped {
  const { price } = tieredPrice('volume')(vector)
  if (price.model !== 'volume') throw new Error('not a volume price')
  const usage = vector.at('usage')
  const lines = rateVolume(price, decimalOf(usage.at('prorated_units')), decimalOf(usage.at('full_units')))
  return compareWith(wanted(vector).raw, { amount: toText(sumOfLines(lines)) })
}

function mapProratedGraduated(vector: Field): Mapped {
  const tiers = tiersOf(vector.at('config', 'tiers'), MEMBERS)
  const price = { model: 'graduated', tiers, flatFeeOnZeroUsage: chargesFlatAtZero(vector) } as const
  return vector.at('config', 'recurring').flag()
    ? mapLevelOverPeriods(vector, price)
    : mapMovements(vector, price)
}

type Graduated = Parameters<typeof rateProratedGraduated>[0]

/** The vectors tell what Lago's tests round to; we compare in as many digits. */
function mapMovements(vector: Field, price: Graduated): Mapped {
  const units = decimals(vector.at('usage', 'event_units'))
  const charged = decimals(vector.at('usage', 'event_prorated_units'))
  const { exact } = rateProratedGraduated(
    price,
    units.map((unit, i) => ({ units: unit, charged: charged[i] ?? ZERO })),
  )
  const amount = wanted(vector).at('amount')
  return compareWith(
    { amount: amount.text() },
    { amount: toText(roundRational(exact, decimalOf(amount).scale)) },
  )
}

/** A level is carried over to the next period, below zero, too. */
function mapLevelOverPeriods(vector: Field, price: Graduated): Mapped {
  const of = (key: string): { units: Decimal; charged: Decimal }[] =>
    decimals(vector.at('usage', key)).map((units) => ({ units, charged: units }))
  const first = rateProratedGraduated(price, of('period_1_events'))
  const second = rateProratedGraduated(price, of('period_2_events'), first.level)
  const cents = (exact: typeof first.exact): string =>
    toText(roundRational({ ...exact, numerator: exact.numerator * 100n }, 0))
  return compareWith(wanted(vector).raw, {
    period_1_total_cents: cents(first.exact),
    period_2_units: toText(second.level),
    period_2_amount_cents: cents(second.exact),
  })
}
