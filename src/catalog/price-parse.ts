import { compare, type Decimal, ZERO } from '../money/decimal.ts'
import { type JsonObject, JsonReader, member } from './json-reader.ts'
import { parseMatrix } from './matrix-parse.ts'
import {
  type ChargeTerms,
  type Discount,
  type PercentagePrice,
  type Price,
  PRICE_MODELS,
  type PriceModel,
  type SimplePrice,
  type UnitConversion,
} from './price.ts'
import type { PriceFault } from './price-fault.ts'

/** The most tiers, cells and discounts of one price: bounds what one line can cost to rate. */
const tiersMax = 10_000
const discountsMax = 100

const CONVERSION_ROUNDINGS = ['none', 'ceiling', 'floor', 'halfUp'] as const
const HUNDRED: Decimal = { coefficient: 100n, scale: 0 }

/** The members of a request or a plan's price that `readChargeTerms` reads. */
export const CHARGE_TERMS_MEMBERS = ['price', 'unitConversion', 'discounts', 'minimum', 'maximum'] as const

export type ChargeTermsParse =
  | { readonly kind: 'terms'; readonly terms: ChargeTerms }
  | { readonly kind: 'faulty'; readonly faults: readonly PriceFault[] }

/**
 * Reads `{price, unitConversion?, discounts?, minimum?, maximum?}` as it came from outside.
 * @param known further members that the object may have and that somebody else reads
 * @param pointer where the object stands in the request's body, for the faults
 */
export function parseChargeTerms(
  raw: unknown,
  known: readonly string[] = [],
  pointer = '',
): ChargeTermsParse {
  const reader = new JsonReader()
  const object = reader.object(raw, pointer, [...CHARGE_TERMS_MEMBERS, ...known])
  const terms = object === null ? null : readChargeTerms(reader, object, pointer)
  if (terms === null || reader.faults.length > 0) return { kind: 'faulty', faults: reader.faults }
  return { kind: 'terms', terms }
}

/** As `parseChargeTerms`, into a reader. Null when there is no price to speak of; the reader has the faults. */
export function readChargeTerms(reader: JsonReader, object: JsonObject, pointer: string): ChargeTerms | null {
  const minimum = reader.optionalDecimal(object, 'minimum', pointer)
  const maximum = reader.optionalDecimal(object, 'maximum', pointer)
  if (minimum !== null && maximum !== null && compare(minimum, maximum) > 0) {
    reader.fault('invalidRequest', member(pointer, 'minimum'), 'must not be above the maximum')
  }
  const conversion = readConversion(reader, object['unitConversion'], member(pointer, 'unitConversion'))
  const discounts = readDiscounts(reader, object, pointer)
  if (object['price'] === undefined) {
    reader.fault('invalidRequest', member(pointer, 'price'), 'is missing')
    return null
  }
  const price = readPrice(reader, object['price'], member(pointer, 'price'))
  return price === null ? null : { price, conversion, discounts, minimum, maximum }
}

function readPrice(reader: JsonReader, raw: unknown, pointer: string): Price | null {
  const model = readModel(reader, raw, pointer)
  if (model === null) return null
  if (model !== 'matrix') return readModelPrice(reader, raw, model, pointer)
  return parseMatrix(reader, raw, pointer, (cell, at) => readSimplePrice(reader, cell, at))
}

function readSimplePrice(reader: JsonReader, raw: unknown, pointer: string): SimplePrice | null {
  const model = readModel(reader, raw, pointer)
  if (model === null) return null
  if (model !== 'matrix') return readModelPrice(reader, raw, model, pointer)
  reader.fault('invalidRequest', member(pointer, 'model'), 'a matrix cannot stand in a matrix')
  return null
}

function readModel(reader: JsonReader, raw: unknown, pointer: string): PriceModel | null {
  const object =
    typeof raw === 'object' && raw !== null ? (raw as JsonObject) : reader.object(raw, pointer, [])
  if (object === null) return null
  const model = PRICE_MODELS.find((known) => known === object['model'])
  if (model !== undefined) return model
  const given = object['model']
  reader.fault(
    given === undefined ? 'invalidRequest' : 'unknownModel',
    member(pointer, 'model'),
    given === undefined ? 'is missing' : `is none of the price models ${PRICE_MODELS.join(', ')}`,
  )
  return null
}

function readModelPrice(
  reader: JsonReader,
  raw: unknown,
  model: Exclude<PriceModel, 'matrix'>,
  pointer: string,
): SimplePrice | null {
  const object = reader.object(raw, pointer, MEMBERS[model])
  if (object === null) return null
  switch (model) {
    case 'flat':
      return { model, amount: reader.decimal(object, 'amount', pointer) }
    case 'unit':
      return { model, unitAmount: reader.decimal(object, 'unitAmount', pointer) }
    case 'graduated':
    case 'volume': {
      const tiers = readTiers(
        reader,
        object,
        pointer,
        ['unitAmount', 'flatAmount', 'packageSize'],
        (tier, upTo, at) => {
          const unitAmount = reader.optionalDecimal(tier, 'unitAmount', at)
          const flatAmount = reader.optionalDecimal(tier, 'flatAmount', at)
          const packageSize =
            tier['packageSize'] === undefined ? null : reader.positiveDecimal(tier, 'packageSize', at)
          return { upTo, unitAmount, flatAmount, packageSize }
        },
      )
      return { model, tiers, flatFeeOnZeroUsage: reader.flag(object, 'flatFeeOnZeroUsage', pointer) }
    }
    case 'stairstep': {
      const tiers = readTiers(reader, object, pointer, ['amount'], (tier, upTo, at) => ({
        upTo,
        amount: reader.decimal(tier, 'amount', at),
      }))
      return { model, tiers }
    }
    case 'package':
      return {
        model,
        packageSize: reader.positiveDecimal(object, 'packageSize', pointer),
        amount: reader.decimal(object, 'amount', pointer),
        freeUnits: reader.optionalDecimal(object, 'freeUnits', pointer) ?? ZERO,
      }
    case 'percentage':
      return readPercentage(reader, object, pointer)
    case 'graduatedPercentage': {
      const tiers = readTiers(reader, object, pointer, ['rate', 'flatAmount'], (tier, upTo, at) => ({
        upTo,
        rate: reader.decimal(tier, 'rate', at),
        flatAmount: reader.optionalDecimal(tier, 'flatAmount', at),
      }))
      return { model, tiers, flatFeeOnZeroUsage: reader.flag(object, 'flatFeeOnZeroUsage', pointer) }
    }
    case 'dynamic':
      return { model, multiplier: reader.decimal(object, 'multiplier', pointer) }
  }
}

const MEMBERS = {
  flat: ['model', 'amount'],
  unit: ['model', 'unitAmount'],
  graduated: ['model', 'tiers', 'flatFeeOnZeroUsage'],
  volume: ['model', 'tiers', 'flatFeeOnZeroUsage'],
  stairstep: ['model', 'tiers'],
  package: ['model', 'packageSize', 'amount', 'freeUnits'],
  percentage: ['model', 'rate', 'fixedAmount', 'perEvent', 'freeUnits', 'freeEvents'],
  graduatedPercentage: ['model', 'tiers', 'flatFeeOnZeroUsage'],
  dynamic: ['model', 'multiplier'],
} as const satisfies Record<Exclude<PriceModel, 'matrix'>, readonly string[]>

function readPercentage(reader: JsonReader, object: JsonObject, pointer: string): PercentagePrice {
  const at = member(pointer, 'perEvent')
  const raw = object['perEvent']
  const bounds = raw === undefined || raw === null ? null : reader.object(raw, at, ['min', 'max'])
  const min = bounds === null ? null : reader.optionalDecimal(bounds, 'min', at)
  const max = bounds === null ? null : reader.optionalDecimal(bounds, 'max', at)
  if (min !== null && max !== null && compare(min, max) > 0) {
    reader.fault('invalidRequest', member(at, 'min'), 'must not be above max')
  }
  return {
    model: 'percentage',
    rate: reader.decimal(object, 'rate', pointer),
    fixedAmount: reader.optionalDecimal(object, 'fixedAmount', pointer) ?? ZERO,
    perEvent: min === null && max === null ? null : { min, max },
    freeUnits: reader.optionalDecimal(object, 'freeUnits', pointer) ?? ZERO,
    freeEvents: readCount(reader, object, 'freeEvents', pointer),
  }
}

/** A whole number in JSON, 0 when absent: a count of events, never an amount. */
export function readCount(reader: JsonReader, object: JsonObject, key: string, pointer: string): number {
  const raw = object[key]
  if (raw === undefined) return 0
  if (typeof raw === 'number' && Number.isSafeInteger(raw) && raw >= 0) return raw
  reader.fault('invalidRequest', member(pointer, key), 'must be a whole number of 0 or more')
  return 0
}

/** The list of tiers: each ends above the one before, and the last and only the last has no end. */
function readTiers<T extends { readonly upTo: Decimal | null }>(
  reader: JsonReader,
  object: JsonObject,
  pointer: string,
  members: readonly string[],
  read: (tier: JsonObject, upTo: Decimal | null, pointer: string) => T,
): readonly T[] {
  const raw = reader.list(object, 'tiers', pointer)
  const at = member(pointer, 'tiers')
  if (raw.length === 0 && Array.isArray(object['tiers'])) {
    reader.fault('missingLastTier', at, 'needs at least one tier, the last with "upTo": null')
  }
  if (raw.length > tiersMax) {
    reader.fault('invalidRequest', at, `has more than ${String(tiersMax)} tiers`)
    return []
  }
  const tiers: T[] = []
  let end: Decimal = ZERO
  raw.forEach((rawTier, i) => {
    const tierAt = member(at, i)
    const tier = reader.object(rawTier, tierAt, ['upTo', ...members])
    if (tier === null) return
    const upTo = reader.optionalDecimal(tier, 'upTo', tierAt)
    const last = i === raw.length - 1
    if (last && upTo !== null) {
      reader.fault('missingLastTier', member(tierAt, 'upTo'), 'must be null in the last tier: it has no end')
    }
    if (last && tier['upTo'] === undefined) {
      reader.fault('missingLastTier', member(tierAt, 'upTo'), 'is missing; the last tier has "upTo": null')
    }
    if (!last && upTo === null) {
      reader.fault('tiersOutOfOrder', member(tierAt, 'upTo'), 'is null, but tiers follow')
    }
    if (upTo !== null) {
      if (compare(upTo, end) <= 0 && !reader.faults.some((f) => f.pointer === member(tierAt, 'upTo'))) {
        reader.fault(
          'tiersOutOfOrder',
          member(tierAt, 'upTo'),
          i === 0 ? 'must be above 0' : 'must be above the end of the tier before',
        )
      }
      end = upTo
    }
    tiers.push(read(tier, upTo, tierAt))
  })
  return tiers
}

function readDiscounts(reader: JsonReader, object: JsonObject, pointer: string): readonly Discount[] {
  if (object['discounts'] === undefined) return []
  const at = member(pointer, 'discounts')
  const raw = reader.list(object, 'discounts', pointer)
  if (raw.length > discountsMax) {
    reader.fault('invalidRequest', at, `has more than ${String(discountsMax)} discounts`)
    return []
  }
  return raw.flatMap((rawDiscount, i) => {
    const discountAt = member(at, i)
    const discount = reader.object(rawDiscount, discountAt, ['percent', 'amount', 'usage'])
    return discount === null ? [] : readDiscount(reader, discount, discountAt)
  })
}

function readDiscount(reader: JsonReader, discount: JsonObject, pointer: string): Discount[] {
  if (Object.keys(discount).length !== 1) {
    reader.fault('invalidRequest', pointer, 'must have exactly one of percent, amount and usage')
    return []
  }
  if (discount['percent'] !== undefined) {
    const percent = reader.decimal(discount, 'percent', pointer)
    if (compare(percent, HUNDRED) > 0) {
      reader.fault('invalidRequest', member(pointer, 'percent'), 'must not be above 100')
    }
    return [{ kind: 'percent', percent }]
  }
  if (discount['amount'] !== undefined) {
    return [{ kind: 'amount', amount: reader.decimal(discount, 'amount', pointer) }]
  }
  return [{ kind: 'usage', units: reader.decimal(discount, 'usage', pointer) }]
}

function readConversion(reader: JsonReader, raw: unknown, pointer: string): UnitConversion | null {
  if (raw === undefined || raw === null) return null
  const object = reader.object(raw, pointer, ['operation', 'factor', 'rounding', 'digits'])
  if (object === null) return null
  const operation = object['operation']
  if (operation !== 'divide' && operation !== 'multiply') {
    reader.fault('invalidRequest', member(pointer, 'operation'), 'must be divide or multiply')
    return null
  }
  const given = object['rounding'] ?? 'none'
  const rounding = CONVERSION_ROUNDINGS.find((known) => known === given)
  if (rounding === undefined) {
    reader.fault(
      'invalidRequest',
      member(pointer, 'rounding'),
      `must be one of ${CONVERSION_ROUNDINGS.join(', ')}`,
    )
    return null
  }
  const digits = readCount(reader, object, 'digits', pointer)
  return { operation, factor: reader.positiveDecimal(object, 'factor', pointer), rounding, digits }
}
