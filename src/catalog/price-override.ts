import { type JsonObject, JsonReader, member } from './json-reader.ts'
import type { PlanDefinition, PlanPrice } from './plan.ts'
import type { PlanFault } from './plan-parse.ts'
import { CHARGE_TERMS_MEMBERS, readChargeTerms } from './price-parse.ts'

/**
 * What one subscription pays instead: the plan's price key → the members that differ (`price`, `discounts`, …);
 * a null member takes the plan's away.
 */
export type PriceOverrides = Readonly<Record<string, JsonObject>>

export type EffectivePrices =
  | { readonly kind: 'prices'; readonly prices: readonly PlanPrice[] }
  | { readonly kind: 'faulty'; readonly faults: readonly PlanFault[] }

/** The plan's prices with a subscription's overrides on them, in the plan's order. Faults point into `/overrides`. */
export function effectivePrices(plan: PlanDefinition, overrides: unknown): EffectivePrices {
  const reader = new JsonReader()
  const keys = plan.prices.map((price) => price.key)
  const given = reader.object(overrides, '/overrides', keys)
  if (given === null || reader.faults.length > 0) return { kind: 'faulty', faults: reader.faults }
  const written = plan.document['prices'] as readonly JsonObject[]
  const prices = plan.prices.map((price, index): PlanPrice => {
    const raw = given[price.key]
    if (raw === undefined) return price
    const pointer = member('/overrides', price.key)
    const override = reader.object(raw, pointer, CHARGE_TERMS_MEMBERS)
    if (override === null) return price
    const merged = Object.entries({ ...written[index], ...override }).filter(([, value]) => value !== null)
    const terms = readChargeTerms(reader, Object.fromEntries(merged), pointer)
    if (terms === null) return price
    if (price.meter === null && terms.price.model !== 'flat') {
      reader.fault(
        'invalidRequest',
        member(pointer, 'price'),
        'must be flat: this price of the plan has no meter',
      )
    }
    return { ...price, terms }
  })
  return reader.faults.length > 0 ? { kind: 'faulty', faults: reader.faults } : { kind: 'prices', prices }
}

/** Whether both say the same, whatever the order of their members. */
export function sameOverrides(a: PriceOverrides, b: PriceOverrides): boolean {
  return textOf(a) === textOf(b)
}

/** One text for one value of JSON: members sorted by name. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([x], [y]) => (x < y ? -1 : x > y ? 1 : 0)))
      : inner,
  )
}
