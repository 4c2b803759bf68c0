import { type Kysely, sql } from 'kysely'
import type { LedgerSnapshots } from '../provision/ledger/authority.ts'
import { instantOf } from '../time/instant.ts'
import type { Schema } from './schema.ts'

/** Snapshots of the quota ledger in PostgreSQL, one a partition. Every process may write; the later one stays. */
export function createLedgerSnapshots(db: Kysely<Schema>): LedgerSnapshots {
  return {
    async load(partition) {
      const row = await db
        .selectFrom('quota_ledger_snapshots')
        .select(['log_offset', 'now_ms', 'hash', 'accounts'])
        .where('partition', '=', partition)
        .executeTakeFirst()
      if (row === undefined) return null
      const { log_offset: offset, now_ms: nowMs, hash, accounts } = row
      return { offset, now: instantOf(nowMs), hash, accounts }
    },
    async save(partition, { offset, now, hash, accounts }) {
      const row = { log_offset: offset, now_ms: now, hash, accounts }
      await db
        .insertInto('quota_ledger_snapshots')
        .values({ partition, ...row })
        .onConflict((conflict) =>
          conflict
            .column('partition')
            .doUpdateSet({ ...row, updated_at: sql<Date>`now()` })
            .where('quota_ledger_snapshots.log_offset', '<=', offset),
        )
        .execute()
    },
  }
}
