import { add, decimal, toText, ZERO } from '../../src/money/decimal.ts'
import type { Item } from '../../src/rating/itemise.ts'
import type { RatedLine } from '../../src/rating/rating-outcome.ts'
import type { Field } from './vector.ts'

export interface ItemJson {
  readonly ref: string
  readonly quantity: string
  readonly perUnit: string
  readonly amount: string
  readonly discounts: readonly (readonly [string, string])[]
  readonly credits: readonly string[]
  readonly total: string
}

export interface ItemsJson {
  readonly lines: readonly ItemJson[]
  readonly total: string
}

export function itemsJson(items: readonly Item[]): ItemsJson {
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

export function expectedItems(expected: Field): ItemsJson {
  return {
    lines: sorted(expected.at('lines').list().map(expectedItem)),
    total: toText(decimal(expected.at('total').text())),
  }
}

export function expectedItem(line: Field): ItemJson {
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

export function sorted(lines: readonly ItemJson[]): ItemJson[] {
  return [...lines].sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))
}
