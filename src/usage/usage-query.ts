import type { SubjectId, TenantId } from '../id/ids.ts'
import type { Interval } from '../time/instant.ts'
import type { Cut } from './coordinate.ts'
import type { Meter } from './meter.ts'

export type UsageWindow = 'hour' | 'day' | 'week' | 'month' | 'none'

/** A question about metered usage. Subjects: null = all of the tenant. */
export interface UsageRequest {
  readonly tenant: TenantId
  readonly meter: Meter
  readonly interval: Interval
  readonly window: UsageWindow
  /** IANA zone in which windows are cut. */
  readonly timezone: string
  readonly subjects: readonly SubjectId[] | null
  /** One row per subject. */
  readonly bySubject: boolean
  /** Names of the meter's dimensions to group by. */
  readonly groupBy: readonly string[]
  /** Dimension → values. */
  readonly filters: Readonly<Record<string, readonly string[]>>
}

/** `value` is exact decimal text; null where the aggregation of no events has no value (min, max, avg, latest). */
export interface UsageRow {
  readonly interval: Interval
  readonly subject?: SubjectId
  readonly group: Readonly<Record<string, string>>
  readonly value: string | null
  /** Canonical events behind the value. */
  readonly events: number
}

export interface UsageAnswer {
  readonly rows: readonly UsageRow[]
  /** Everything before this cut is in the answer, nothing behind it. */
  readonly asOf: Cut
  readonly freshnessSeconds: number
}
