import type { Params } from './usage-sql.ts'

/** placeholder replaced below */
export interface RolledMinutes {
  liveCondition(params: Params): string
}
