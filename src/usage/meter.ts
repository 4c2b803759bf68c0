import type { MeterKey, TenantId } from '../id/ids.ts'

export const AGGREGATIONS = [
  'sum',
  'count',
  'uniqueCount',
  'min',
  'max',
  'avg',
  'latest',
  'percentile',
  'timeWeighted',
] as const
export type Aggregation = (typeof AGGREGATIONS)[number]

/** A rule that turns events of one type into a quantity. */
export interface Meter {
  readonly tenant: TenantId
  readonly key: MeterKey
  readonly name: string
  readonly eventType: string
  readonly aggregation: Aggregation
  /** Path of the property that is aggregated; absent for `count`. */
  readonly valueProperty?: string
  /** Name of a dimension → path of the property it is read from. */
  readonly groupBy: Readonly<Record<string, string>>
  /** Path of a property → the values that an event may have there to count. */
  readonly filters: Readonly<Record<string, readonly string[]>>
  /** Between 0 and 1, as decimal text; for `percentile` only. */
  readonly percentile?: string
  /** 1, 2, …: a change of what is counted makes a new revision. */
  readonly revision: number
}
