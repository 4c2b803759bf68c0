import type { ChargeTerms } from '../catalog/price.ts'
import type { PlanKey } from '../id/ids.ts'
import { type BillingSchedule, periodAt, periodOfIndex } from '../time/billing-period.ts'
import type { Instant } from '../time/instant.ts'
import type { BillablePrice } from './billable.ts'

/** When a subscription came to a plan, and the periods that it had then. */
export interface PlanArrival {
  readonly at: Instant
  readonly schedule: BillingSchedule
}

/** When the subscription came to each of its plans for the first time. A new version of a plan is the same plan. */
export function planArrivals(
  stretches: readonly {
    readonly schedule: BillingSchedule
    readonly phases: readonly { readonly start: Instant; readonly plan: { readonly key: PlanKey } }[]
  }[],
): ReadonlyMap<PlanKey, PlanArrival> {
  const arrivals = new Map<PlanKey, PlanArrival>()
  for (const { schedule, phases } of stretches) {
    for (const { start, plan } of phases) {
      if (!arrivals.has(plan.key)) arrivals.set(plan.key, { at: start, schedule })
    }
  }
  return arrivals
}

/**
 * The price as it holds in a period: without the discounts whose periods are over. They are counted from the period in which
 * the subscription came to the plan, that one included; periods in which it is paused count, too.
 */
export function priceInPeriod(
  price: BillablePrice,
  arrival: PlanArrival | undefined,
  periodStart: Instant,
): BillablePrice {
  const { discounts } = price.terms
  if (arrival === undefined || discounts.every(({ periods }) => periods === undefined)) return price
  const held = discounts.filter(
    ({ periods }) => periods === undefined || periodStart < endOfPeriods(arrival, periods),
  )
  const terms: ChargeTerms = { ...price.terms, discounts: held }
  return { ...price, terms }
}

function endOfPeriods({ at, schedule }: PlanArrival, periods: number): Instant {
  return periodOfIndex(schedule, periodAt(schedule, at).index + periods).start
}
