import { compare, type Decimal, ZERO } from '../money/decimal.ts'
import { type JsonObject, JsonReader, member } from './json-reader.ts'
import { parseMatrix } from './matrix-parse.ts'
import {
  type ChargeTerms,
  type PercentagePrice,
  type Price,
  PRICE_MODELS,
  type PriceModel,
  type SimplePrice,
} from './price.ts'
import { readCommitment, readConversion, readDiscounts, readProration } from './charge-terms-parse.ts'
import type { PriceFault } from './price-fault.ts'

/** The most tiers of one price: bounds what one line can cost to rate. */
const tiersMax = 10_000

/** The members of a request or a plan's price that `readChargeTerms` reads. */
export const CHARGE_TERMS_MEMBERS = [
  'price',
  'unitConversion',
  'discounts',
  'minimum',
  'maximum',
  'commitment',
  'proration',
] as const

export type ChargeTermsParse =
  | { readonly kind: 'terms'; readonly terms: ChargeTerms }
  | { readonly kind: 'faulty'; readonly faults: readonly PriceFault[] }

/**
 * Reads `{price, unitConversion?, discounts?, minimum?, maximum?, commitment?, proration?}` as it came from outside.
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
  const commitment = readCommitment(reader, object['commitment'], member(pointer, 'commitment'))
  const proration = readProration(reader, object, pointer)
  if (object['price'] === undefined) {
    reader.fault('invalidRequest', member(pointer, 'price'), 'is missing')
    return null
  }
  const price = readPrice(reader, object['price'], member(pointer, 'price'))
  return price === null ? null : { price, conversion, discounts, minimum, maximum, commitment, proration }
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
    freeEvents: reader.count(object, 'freeEvents', pointer),
  }
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
