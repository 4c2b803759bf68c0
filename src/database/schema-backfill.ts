import type { JSONColumnType } from 'kysely'
import type { BackfillState } from '../ingest/backfill.ts'
import type { Position } from '../usage/event-log.ts'

/** Of `schemas/postgres/0004_backfills.sql`. */
export interface BackfillTables {
  readonly backfills: {
    readonly id: string
    readonly tenant: string
    readonly source: string
    readonly from_at: Date
    readonly to_at: Date
    readonly reason: string
    readonly state: BackfillState
    readonly cut: JSONColumnType<readonly Position[]> | null
    readonly events: number | null
    readonly created_at: Date
    readonly ended_at: Date | null
  }
}
