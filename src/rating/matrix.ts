import type { DimensionValues, MatrixPrice, SimplePrice } from '../catalog/price.ts'

/** The price of the first cell whose values the group all has, else `otherwise`; null when there is none. */
export function cellPrice(price: MatrixPrice, group: DimensionValues): SimplePrice | null {
  for (const cell of price.cells) {
    const names = Object.keys(cell.match)
    if (names.every((name) => Object.hasOwn(group, name) && group[name] === cell.match[name])) {
      return cell.price
    }
  }
  return price.otherwise
}
