import fc from 'fast-check'
import type { ChargeTerms, Discount, PriceModel, SimplePrice } from '../../src/catalog/price.ts'
import type { Decimal } from '../../src/money/decimal.ts'

/** Decimals of 0 or more, with as many digits behind the point as prices and quantities have. */
function decimals(max: bigint, scaleMax: number): fc.Arbitrary<Decimal> {
  return fc
    .tuple(fc.bigInt({ min: 0n, max }), fc.nat(scaleMax))
    .map(([coefficient, scale]) => ({ coefficient, scale }))
}

/** Up to 10^12 with nine digits behind the point, and small ones as often, because tiers end there. */
export const quantities: fc.Arbitrary<Decimal> = fc.oneof(
  fc.bigInt({ min: 0n, max: 10n ** 21n }).map((coefficient) => ({ coefficient, scale: 9 })),
  decimals(5000n, 3),
)
const unitAmounts = decimals(10n ** 9n, 12)
const amounts = decimals(10n ** 7n, 4)

function orNull<T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.option(of, { nil: null })
}

/** Rising ends; the last tier has none. */
function ends(count: number): fc.Arbitrary<(Decimal | null)[]> {
  return fc
    .array(fc.bigInt({ min: 1n, max: 2_000_000n }), { minLength: count - 1, maxLength: count - 1 })
    .map((steps) => {
      let end = 0n
      return [...steps.map((step) => ({ coefficient: (end += step), scale: 3 })), null]
    })
}

function tiersOf<T extends object>(tier: fc.Arbitrary<T>): fc.Arbitrary<(T & { upTo: Decimal | null })[]> {
  return fc
    .integer({ min: 1, max: 6 })
    .chain((count) => fc.tuple(ends(count), fc.array(tier, { minLength: count, maxLength: count })))
    .map(([upTos, tiers]) => tiers.map((one, i) => ({ ...one, upTo: upTos[i] ?? null })))
}

const packageSizes = decimals(100_000n, 2).map(({ coefficient, scale }) => ({
  coefficient: coefficient + 1n,
  scale,
}))

const tiered = fc.record({
  tiers: tiersOf(
    fc.record({
      unitAmount: orNull(unitAmounts),
      flatAmount: orNull(amounts),
      packageSize: fc.option(packageSizes, { nil: null, freq: 6 }).map((size) => size),
    }),
  ),
  flatFeeOnZeroUsage: fc.boolean(),
})

function withModel<M extends PriceModel, T extends object>(model: M, of: fc.Arbitrary<T>) {
  return of.map((price) => ({ model, ...price }))
}

/** One arbitrary for each price model that a cell of a matrix may hold. */
export const PRICES: Readonly<Record<SimplePrice['model'], fc.Arbitrary<SimplePrice>>> = {
  flat: withModel('flat', fc.record({ amount: amounts })),
  unit: withModel('unit', fc.record({ unitAmount: unitAmounts })),
  graduated: withModel('graduated', tiered),
  volume: withModel('volume', tiered),
  stairstep: withModel('stairstep', fc.record({ tiers: tiersOf(fc.record({ amount: amounts })) })),
  package: withModel(
    'package',
    fc.record({ packageSize: packageSizes, amount: amounts, freeUnits: decimals(100_000n, 3) }),
  ),
  percentage: withModel(
    'percentage',
    fc.record({
      rate: decimals(10_000n, 3),
      fixedAmount: amounts,
      perEvent: fc.constant(null),
      freeUnits: fc.oneof(fc.constant({ coefficient: 0n, scale: 0 }), decimals(100_000n, 2)),
      freeEvents: fc.constant(0),
    }),
  ),
  graduatedPercentage: withModel(
    'graduatedPercentage',
    fc.record({
      tiers: tiersOf(fc.record({ rate: decimals(10_000n, 3), flatAmount: orNull(amounts) })),
      flatFeeOnZeroUsage: fc.boolean(),
    }),
  ),
  dynamic: withModel('dynamic', fc.record({ multiplier: unitAmounts })),
}

const discounts: fc.Arbitrary<Discount> = fc.oneof(
  fc.integer({ min: 0, max: 10_000 }).map((n): Discount => ({
    kind: 'percent',
    percent: { coefficient: BigInt(n), scale: 2 },
  })),
  amounts.map((amount): Discount => ({ kind: 'amount', amount })),
  decimals(10_000n, 3).map((units): Discount => ({ kind: 'usage', units })),
)

/** What stands around a price: discounts, bounds in order, a commitment now and then. */
export function termsWith(price: fc.Arbitrary<SimplePrice>): fc.Arbitrary<ChargeTerms> {
  return fc
    .record({
      price,
      discounts: fc.array(discounts, { maxLength: 3 }),
      bounds: fc.tuple(orNull(amounts), orNull(amounts)),
      commitment: fc.option(
        fc.record({ amount: amounts, overageFactor: decimals(300n, 2), trueUp: fc.boolean() }),
        { nil: null, freq: 3 },
      ),
    })
    .map(({ bounds: [a, b], ...terms }) => ({
      ...terms,
      ...(a !== null &&
      b !== null &&
      a.coefficient * 10n ** BigInt(b.scale) > b.coefficient * 10n ** BigInt(a.scale)
        ? { minimum: b, maximum: a }
        : { minimum: a, maximum: b }),
      conversion: null,
      proration: 'actualDays',
    }))
}

/** Prices by themselves. */
export function bareTerms(price: SimplePrice): ChargeTerms {
  return {
    price,
    conversion: null,
    discounts: [],
    minimum: null,
    maximum: null,
    commitment: null,
    proration: 'actualDays',
  }
}

export const anyPrice: fc.Arbitrary<SimplePrice> = fc.oneof(...Object.values(PRICES))
