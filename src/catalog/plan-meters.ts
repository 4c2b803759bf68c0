import { member } from './json-reader.ts'
import type { PlanDefinition } from './plan.ts'
import type { MeterDimensions } from './plan-catalog.ts'
import type { PlanFault } from './plan-parse.ts'

/** What is wrong between a plan's prices and the tenant's meters: unknown ones, and dimensions that they do not have. */
export function judgeMeters(
  plan: Pick<PlanDefinition, 'prices'>,
  meters: MeterDimensions,
): readonly PlanFault[] {
  const faults: PlanFault[] = []
  for (const [index, { meter, terms }] of plan.prices.entries()) {
    if (meter === null) continue
    const pointer = member('/prices', index)
    const dimensions = meters.get(meter)
    if (dimensions === undefined) {
      faults.push({
        pointer: member(pointer, 'meter'),
        detail: `"${meter}" is not a meter; create it first with PUT /v1/meters/${meter}`,
      })
    } else if (terms.price.model === 'matrix') {
      for (const [at, dimension] of terms.price.dimensions.entries()) {
        if (dimensions.includes(dimension)) continue
        faults.push({
          pointer: `${pointer}/price/dimensions/${at}`,
          detail: `"${dimension}" is not a dimension of the meter "${meter}"; it has ${dimensions.join(', ') || 'none'}`,
        })
      }
    }
  }
  return faults
}
