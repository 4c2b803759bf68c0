import { isDeepStrictEqual } from 'node:util'
import { type ExpressionBuilder, type Kysely, sql, type Transaction } from 'kysely'
import type { QuotaKey, TenantId } from '../id/ids.ts'
import { pageOf } from '../id/page.ts'
import { decimal, toText } from '../money/decimal.ts'
import type { Holder } from '../provision/holder.ts'
import type { KeyState } from '../provision/key-state.ts'
import type { Assignment, QuotaStore } from '../provision/ports.ts'
import type { Quota } from '../provision/quota.ts'
import type { Notice, Settlement } from '../provision/settle.ts'
import { TOPIC_KEY_STATE } from '../usage/topics.ts'
import { replaceKey } from './keys.ts'
import { addToOutbox } from './outbox.ts'
import type { Schema } from './schema.ts'
import { lockName } from './transaction.ts'

/** Quotas in PostgreSQL, their holders, and the settlements, each under the lock of its assignment's row. */
export function createQuotaStore(db: Kysely<Schema>): QuotaStore {
  return {
    put: (draft, at) =>
      db.transaction().execute(async (trx) => {
        await lockName(trx, 'quota', draft.tenant, draft.key)
        const held = await trx
          .selectFrom('quotas')
          .select('document')
          .where('tenant', '=', draft.tenant)
          .where('key', '=', draft.key)
          .executeTakeFirst()
        const quota: Quota = { ...draft, version: (held?.document.version ?? 0) + 1 }
        if (held !== undefined && isDeepStrictEqual({ ...held.document, version: quota.version }, quota)) {
          return { kind: 'unchanged', quota: held.document }
        }
        const row = { document: JSON.stringify(quota), version: quota.version, updated_at: new Date(at) }
        await trx
          .insertInto('quotas')
          .values({ tenant: draft.tenant, key: draft.key, created_at: new Date(at), ...row })
          .onConflict((conflict) => conflict.columns(['tenant', 'key']).doUpdateSet(row))
          .execute()
        return { kind: held === undefined ? 'created' : 'replaced', quota }
      }),

    async get(tenant, key) {
      const row = await db
        .selectFrom('quotas')
        .select('document')
        .where('tenant', '=', tenant)
        .where('key', '=', key)
        .executeTakeFirst()
      return row?.document ?? null
    },

    async list(tenant, { limit, after }) {
      const rows = await db
        .selectFrom('quotas')
        .select('document')
        .where('tenant', '=', tenant)
        .$if(after !== null, (query) => query.where('key', '>', after))
        .orderBy('key')
        .limit(limit + 1)
        .execute()
      const quotas = rows.map((row) => row.document)
      return pageOf(quotas, limit, (quota) => quota.key)
    },

    async assignments({ tenant, quotaKey, holders }) {
      if (holders?.length === 0) return []
      let query = db
        .selectFrom('quota_assignments as a')
        .innerJoin('quotas as q', (join) =>
          join.onRef('q.tenant', '=', 'a.tenant').onRef('q.key', '=', 'a.quota'),
        )
        .select(['a.tenant', 'a.quota', 'a.holder_kind', 'a.holder_id', 'q.document'])
      if (tenant !== undefined) query = query.where('a.tenant', '=', tenant)
      if (quotaKey !== undefined) query = query.where('a.quota', '=', quotaKey)
      if (holders !== undefined) {
        const idsOf = (kind: Holder['kind']): string[] =>
          holders.filter((holder) => holder.kind === kind).map((holder) => holder.id)
        query = query.where((is) =>
          is.or(
            (['subject', 'customer'] as const).map((kind) =>
              is.and([
                is('a.holder_kind', '=', kind),
                is('a.holder_id', '=', is.fn.any(is.val(idsOf(kind)))),
              ]),
            ),
          ),
        )
      }
      const rows = await query.execute()
      return rows.map((row) => ({
        tenant: row.tenant as TenantId,
        quotaKey: row.quota as QuotaKey,
        holder: { kind: row.holder_kind, id: row.holder_id } as Holder,
        quota: row.document,
      }))
    },

    settle: (assignment, decide) =>
      db.transaction().execute(async (trx) => {
        const row = await trx
          .selectFrom('quota_assignments')
          .select('status')
          .where(isAssignment(assignment))
          .forUpdate()
          .executeTakeFirst()
        if (row === undefined) return null
        const { document: quota } = await trx
          .selectFrom('quotas')
          .select('document')
          .where('tenant', '=', assignment.tenant)
          .where('key', '=', assignment.quotaKey)
          .executeTakeFirstOrThrow()
        const settlement = await decide({
          quota,
          previous: row.status,
          topUps: (epoch) => sumOfTopUps(trx, assignment, epoch),
          keys: await lockKeysUnder(trx, assignment),
        })
        if (settlement === null) return null
        return { settlement, fresh: await write(trx, assignment, settlement) }
      }),

    async status(assignment) {
      const row = await db
        .selectFrom('quota_assignments')
        .select('status')
        .where(isAssignment(assignment))
        .executeTakeFirst()
      return row?.status ?? null
    },

    async notices(assignment, epoch) {
      const rows = await db
        .selectFrom('quota_notices')
        .select('notice')
        .where(isAssignment(assignment))
        .where('epoch', '=', epoch)
        .orderBy('number')
        .execute()
      return rows.map((row) => row.notice)
    },

    topUp: ({ id, assignment, epoch, units, at }) =>
      db.transaction().execute(async (trx) => {
        const { tenant, quotaKey: quota, holder } = assignment
        const inserted = await trx
          .insertInto('quota_top_ups')
          .values({
            tenant,
            id,
            quota,
            holder_kind: holder.kind,
            holder_id: holder.id,
            epoch,
            units,
            at: new Date(at),
          })
          .onConflict((conflict) => conflict.columns(['tenant', 'id']).doNothing())
          .executeTakeFirst()
        if (inserted.numInsertedOrUpdatedRows === 1n) return { kind: 'added' }
        const told = await trx
          .selectFrom('quota_top_ups')
          .select('units')
          .where('id', '=', id)
          .where(isAssignment(assignment))
          .executeTakeFirst()
        const same = told !== undefined && toText(decimal(told.units)) === toText(decimal(units))
        return { kind: same ? 'repeated' : 'conflict' }
      }),
  }
}

/** The rows of one assignment, in any of the tables that hang on it. */
function isAssignment({ tenant, quotaKey, holder }: Assignment) {
  return (is: ExpressionBuilder<Schema, 'quota_assignments' | 'quota_notices' | 'quota_top_ups'>) =>
    is.and([
      is('tenant', '=', tenant),
      is('quota', '=', quotaKey),
      is('holder_kind', '=', holder.kind),
      is('holder_id', '=', holder.id),
    ])
}

async function sumOfTopUps(trx: Transaction<Schema>, assignment: Assignment, epoch: string): Promise<string> {
  const { sum } = await trx
    .selectFrom('quota_top_ups')
    .select(sql<string>`coalesce(sum(units), 0)`.as('sum'))
    .where(isAssignment(assignment))
    .where('epoch', '=', epoch)
    .executeTakeFirstOrThrow()
  return sum
}

async function lockKeysUnder(trx: Transaction<Schema>, assignment: Assignment): Promise<readonly KeyState[]> {
  const { tenant, holder, quotaKey } = assignment
  const rows = await trx
    .selectFrom('api_keys')
    .select('state')
    .where('tenant', '=', tenant)
    .where('holder_kind', '=', holder.kind)
    .where('holder_id', '=', holder.id)
    .where('revoked', '=', false)
    .where(sql<boolean>`${quotaKey} = any(quotas)`)
    // In one order everywhere, so that two settlements of one holder cannot wait for each other.
    .orderBy('id')
    .forUpdate()
    .execute()
  return rows.map((row) => row.state)
}

async function write(
  trx: Transaction<Schema>,
  assignment: Assignment,
  { status, publish, notices, keys }: Settlement,
): Promise<readonly Notice[]> {
  await trx
    .updateTable('quota_assignments')
    .set({ status: JSON.stringify(status) })
    .where(isAssignment(assignment))
    .execute()
  for (const state of keys) await replaceKey(trx, state)
  if (publish) await addToOutbox(trx, TOPIC_KEY_STATE, status)
  if (notices.length === 0) return []
  const inserted = await trx
    .insertInto('quota_notices')
    .values(
      notices.map((notice) => ({
        tenant: assignment.tenant,
        id: notice.id,
        quota: assignment.quotaKey,
        holder_kind: assignment.holder.kind,
        holder_id: assignment.holder.id,
        epoch: notice.epoch,
        notice: JSON.stringify(notice),
      })),
    )
    .onConflict((conflict) => conflict.columns(['tenant', 'id']).doNothing())
    .returning('id')
    .execute()
  return notices.filter((notice) => inserted.some((row) => row.id === notice.id))
}
