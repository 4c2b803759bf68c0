import type { Kysely } from 'kysely'
import type { GateSnapshot } from '../provision/ports.ts'
import type { Schema } from './schema.ts'

const PAGE_ROWS = 5_000

/** All keys and statuses in pages. A page may be newer than the one before: versions decide, not reading order. */
export function createGateSnapshot(db: Kysely<Schema>): GateSnapshot {
  return {
    async *keys() {
      let after = ''
      for (;;) {
        const rows = await db
          .selectFrom('api_keys')
          .select(['hash', 'state'])
          .where('hash', '>', after)
          .orderBy('hash')
          .limit(PAGE_ROWS)
          .execute()
        if (rows.length > 0) yield rows.map((row) => row.state)
        if (rows.length < PAGE_ROWS) return
        after = rows.at(-1)?.hash ?? after
      }
    },
    async *statuses() {
      let after: readonly [string, string, string, string] = ['', '', '', '']
      for (;;) {
        const [tenant, quota, holderKind, holderId] = after
        const rows = await db
          .selectFrom('quota_assignments')
          .select(['tenant', 'quota', 'holder_kind', 'holder_id', 'status'])
          .where((is) =>
            is(
              is.refTuple('tenant', 'quota', 'holder_kind', 'holder_id'),
              '>',
              is.tuple(tenant, quota, holderKind, holderId),
            ),
          )
          .orderBy('tenant')
          .orderBy('quota')
          .orderBy('holder_kind')
          .orderBy('holder_id')
          .limit(PAGE_ROWS)
          .execute()
        if (rows.length > 0) yield rows.flatMap((row) => row.status ?? [])
        const last = rows.at(-1)
        if (last === undefined || rows.length < PAGE_ROWS) return
        after = [last.tenant, last.quota, last.holder_kind, last.holder_id]
      }
    },
  }
}
