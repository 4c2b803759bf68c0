import { add, decimal, type Decimal, toText, ZERO } from '../../src/money/decimal.ts'
import { type Item, itemise } from '../../src/rating/itemise.ts'
import { rate } from '../../src/rating/rate.ts'
import { quantity, termsOf } from './openmeter-prices.ts'
import { currencyOf, rated } from './terms.ts'
import { compareWith, type Field, type Mapped } from './vector.ts'

export function mapInvoice(vector: Field): Mapped {
  return vector.at('config', 'billing').text() === 'progressive'
    ? mapProgressive(vector)
    : mapOneInvoice(vector)
}

function mapOneInvoice(vector: Field): Mapped {
  const currency = currencyOf(vector.at('currency').text())
  const lines = vector
    .at('config', 'lines')
    .list()
    .map((line) => {
      const id = line.at('id').text()
      line.at('price').describes('payment_term')
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
  const currency = currencyOf(vector.at('currency').text())
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
