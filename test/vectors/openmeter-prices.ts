import type { ChargeTerms, Discount, Price, Tier, UnitConversion } from '../../src/catalog/price.ts'
import { minorUnitDigits } from '../../src/money/currency.ts'
import { decimal, type Decimal, ZERO } from '../../src/money/decimal.ts'
import type { RatingRequest } from '../../src/rating/rating-request.ts'
import { bare, currencyOf } from './terms.ts'
import type { Field } from './vector.ts'

export function priceOf(price: Field): Price {
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

export function termsOf(config: Field): ChargeTerms {
  const bound = (key: string): Decimal | null => {
    const field = config.at('commitments', key)
    return field.exists ? decimal(field.text()) : null
  }
  const minimum = bound('minimum_amount')
  return {
    ...bare(priceOf(config.at('price'))),
    conversion: config.at('unit_config').exists ? conversionOf(config.at('unit_config')) : null,
    discounts: discountsOf(config.at('discounts')),
    minimum: config.at('options', 'ignore_minimum_commitment').flag() ? null : minimum,
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

export function conversionOf(config: Field): UnitConversion {
  const operation = config.at('operation').text()
  const rounding = CONVERSION_ROUNDINGS[config.at('rounding').textOr('none')]
  if (rounding === undefined || (operation !== 'divide' && operation !== 'multiply')) {
    throw new Error('no such unit conversion')
  }
  const digits = config.at('precision').exists ? config.at('precision').number() : 0
  return { operation, factor: decimal(config.at('conversion_factor').text()), rounding, digits }
}

/** Digits of the currency; units of account that are no currency say theirs, as in `CREDITS(4dp)`. */
export function digitsOf(vector: Field): number {
  const digits = /\((\d+)dp\)/.exec(vector.at('currency').text())?.[1]
  return digits === undefined ? minorUnitDigits(currencyOf(vector.at('currency').text())) : Number(digits)
}

export function request(vector: Field): Omit<RatingRequest, 'quantity'> {
  return { ...termsOf(vector.at('config')), currency: currencyOf(vector.at('currency').text()) }
}

export function quantity(vector: Field, key: string): Decimal {
  return decimal(vector.at('usage', key).textOr('0'))
}
