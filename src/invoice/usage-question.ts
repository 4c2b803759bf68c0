import type { SubjectId, TenantId } from '../id/ids.ts'
import { type Decimal, ZERO, add, decimal } from '../money/decimal.ts'
import type { QuantityGroup } from '../rating/rating-request.ts'
import type { Instant, Interval } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { Meter } from '../usage/meter.ts'
import type { AttributedSubject } from './billable.ts'
import type { Charge } from './charge.ts'
import type { UsageSource } from './ports.ts'
import type { MeteredQuantity } from './rated-charge.ts'

/** Subjects whose usage is the customer's throughout an interval. */
interface UsageSlice {
  readonly subjects: readonly SubjectId[]
  readonly interval: Interval
}

/** What is asked of the usage store for a charge. Stored with the invoice, so that it can be asked again. */
export interface UsageQuestion {
  readonly meter: Meter
  readonly slices: readonly UsageSlice[]
  readonly groupBy: readonly string[]
}

/**
 * Cuts a charge's service at the moments where subjects came to the customer or left it. Subjects with the same span
 * share a slice. @param until usage from here on is left out: a preview's moment
 */
export function usageQuestion(
  charge: Charge,
  meter: Meter,
  subjects: readonly AttributedSubject[],
  until: Instant,
): UsageQuestion {
  const slices = new Map<string, UsageSlice>()
  for (const { subject, from, until: left } of subjects) {
    const start = from !== null && from > charge.service.start ? from : charge.service.start
    const ends = [charge.service.end, until, ...(left === null ? [] : [left])]
    const end = ends.reduce((a, b) => (a < b ? a : b))
    if (start >= end) continue
    const key = `${start}-${end}`
    const slice = slices.get(key)
    slices.set(key, { subjects: [...(slice?.subjects ?? []), subject], interval: { start, end } })
  }
  const { price } = charge.price.terms
  return {
    meter,
    slices: [...slices.values()],
    groupBy: price.model === 'matrix' ? price.dimensions : [],
  }
}

/** Asks and adds up. Slices add exactly for sums and counts; for other aggregations each slice counts by itself. */
export async function answerAtCut(
  question: UsageQuestion,
  tenant: TenantId,
  cut: Cut,
  usage: Pick<UsageSource, 'usageAtCut'>,
): Promise<Omit<MeteredQuantity, 'root'>> {
  let quantity: Decimal = ZERO
  let events = 0
  const groups = new Map<string, QuantityGroup>()
  for (const { subjects, interval } of question.slices) {
    const { meter, groupBy } = question
    const rows = await usage.usageAtCut({ tenant, meter, subjects, interval, groupBy, cut })
    for (const row of rows) {
      const value = row.value === null ? ZERO : decimal(row.value)
      quantity = add(quantity, value)
      events += row.events
      const key = JSON.stringify(groupBy.map((dimension) => row.group[dimension] ?? ''))
      const before = groups.get(key)
      groups.set(key, { match: row.group, quantity: add(before?.quantity ?? ZERO, value) })
    }
  }
  const { revision } = question.meter
  return {
    meterRevision: revision,
    quantity,
    groups: question.groupBy.length === 0 ? [] : [...groups.values()],
    events,
  }
}
