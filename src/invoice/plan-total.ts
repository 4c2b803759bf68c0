import { PLAN_TOTAL_KEY } from '../catalog/plan.ts'
import { type Decimal, ZERO } from '../money/decimal.ts'
import type { BillablePlan, BillablePrice } from './billable.ts'

/** The least and the most of a plan's charges of one span together. */
export interface PlanBounds {
  readonly minimum: Decimal | null
  readonly maximum: Decimal | null
  /** Keys of the charges that count. */
  readonly charges: readonly string[]
}

/** How the bounds of a plan stand on an invoice, beside its prices; null where it has none. */
export function boundsPrice({ minimum, maximum }: BillablePlan): BillablePrice | null {
  const bounds = [...(minimum == null ? [] : ['minimum']), ...(maximum == null ? [] : ['maximum'])]
  if (bounds.length === 0) return null
  return {
    key: PLAN_TOTAL_KEY,
    name: `Plan ${bounds.join(' and ')}`,
    meter: null,
    payment: 'inArrears',
    terms: {
      price: { model: 'flat', amount: ZERO },
      conversion: null,
      discounts: [],
      minimum: null,
      maximum: null,
      commitment: null,
      proration: 'actualDays',
    },
  }
}
