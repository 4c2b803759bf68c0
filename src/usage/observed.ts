import type { Cut } from './coordinate.ts'

/**
 * Published on `usage.observed.v1` after rows are durable and journaled: whose usage may have changed.
 * It carries no amounts, so reading it twice does no harm; readers ask for the exact figure.
 */
export interface ObservedUsage {
  readonly version: 1
  readonly touched: readonly {
    readonly tenant: string
    readonly type: string
    readonly subject: string
    /** Event times covered: milliseconds, both inclusive. */
    readonly firstMs: number
    readonly lastMs: number
  }[]
  /** The journal after the flush. */
  readonly journal: Cut
}
