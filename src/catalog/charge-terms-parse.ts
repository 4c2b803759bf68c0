import { compare, type Decimal, ONE } from '../money/decimal.ts'
import { type JsonObject, type JsonReader, member } from './json-reader.ts'
import {
  type Commitment,
  type Discount,
  PRORATION_CONVENTIONS,
  type ProrationConvention,
  type UnitConversion,
} from './price.ts'

/** The most discounts of one price: bounds what one line can cost to rate. */
const discountsMax = 100
/** Digits that a conversion may keep; finer than any unit that is sold. */
const digitsMax = 18

const CONVERSION_ROUNDINGS = ['none', 'ceiling', 'floor', 'halfUp'] as const
const HUNDRED: Decimal = { coefficient: 100n, scale: 0 }

export function readDiscounts(reader: JsonReader, object: JsonObject, pointer: string): readonly Discount[] {
  if (object['discounts'] === undefined || object['discounts'] === null) return []
  const at = member(pointer, 'discounts')
  const raw = reader.list(object, 'discounts', pointer)
  if (raw.length > discountsMax) {
    reader.fault('invalidRequest', at, `has more than ${String(discountsMax)} discounts`)
    return []
  }
  return raw.flatMap((rawDiscount, i) => {
    const discountAt = member(at, i)
    const discount = reader.object(rawDiscount, discountAt, ['percent', 'amount', 'usage', 'periods'])
    if (discount === null) return []
    const periods = readPeriods(reader, discount, discountAt)
    return readDiscount(reader, discount, discountAt).map((read) => ({ ...read, ...periods }))
  })
}

function readPeriods(
  reader: JsonReader,
  discount: JsonObject,
  pointer: string,
): { readonly periods: number } | undefined {
  if (discount['periods'] === undefined) return undefined
  const faultsBefore = reader.faults.length
  const periods = reader.count(discount, 'periods', pointer)
  if (periods === 0 && reader.faults.length === faultsBefore) {
    reader.fault('invalidRequest', member(pointer, 'periods'), 'must be above 0')
  }
  return { periods }
}

function readDiscount(reader: JsonReader, discount: JsonObject, pointer: string): Discount[] {
  if (Object.keys(discount).filter((key) => key !== 'periods').length !== 1) {
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

export function readConversion(reader: JsonReader, raw: unknown, pointer: string): UnitConversion | null {
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
  const digits = reader.count(object, 'digits', pointer)
  if (digits > digitsMax) {
    reader.fault('invalidRequest', member(pointer, 'digits'), `must not be above ${String(digitsMax)}`)
  }
  return { operation, factor: reader.positiveDecimal(object, 'factor', pointer), rounding, digits }
}

export function readCommitment(reader: JsonReader, raw: unknown, pointer: string): Commitment | null {
  if (raw === undefined || raw === null) return null
  const object = reader.object(raw, pointer, ['amount', 'overageFactor', 'trueUp'])
  if (object === null) return null
  return {
    amount: reader.decimal(object, 'amount', pointer),
    overageFactor: reader.optionalDecimal(object, 'overageFactor', pointer) ?? ONE,
    trueUp: reader.flag(object, 'trueUp', pointer),
  }
}

export function readProration(reader: JsonReader, object: JsonObject, pointer: string): ProrationConvention {
  const raw = object['proration']
  if (raw === undefined || raw === null) return 'actualDays'
  const known = PRORATION_CONVENTIONS.find((convention) => convention === raw)
  if (known !== undefined) return known
  reader.fault(
    'invalidRequest',
    member(pointer, 'proration'),
    `must be one of ${PRORATION_CONVENTIONS.join(', ')}`,
  )
  return 'actualDays'
}
