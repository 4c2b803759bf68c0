import type { Kysely, Selectable, Transaction } from 'kysely'
import { pageOf } from '../id/page.ts'
import type { TenantId } from '../id/ids.ts'
import { type Backfill, type Backfills, nextBackfillState } from '../ingest/backfill.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import type { Schema } from './schema.ts'

/** Backfills in PostgreSQL. A share of the row's lock is held while events are taken, the whole of it to end one. */
export function createBackfills(db: Kysely<Schema>): Backfills {
  return {
    async create({ id, tenant, source, range, reason, createdAt }) {
      const row = await db
        .insertInto('backfills')
        .values({
          ...{ id, tenant, source, reason, state: 'open' },
          from_at: new Date(range.start),
          to_at: new Date(range.end),
          created_at: new Date(createdAt),
        } as never)
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ reason }))
        .returningAll()
        .executeTakeFirstOrThrow()
      return backfillOf(row)
    },
    async get(tenant, id) {
      const row = await db
        .selectFrom('backfills')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('id', '=', id)
        .executeTakeFirst()
      return row === undefined ? null : backfillOf(row)
    },
    async list(tenant, { limit, after }) {
      const rows = await db
        .selectFrom('backfills')
        .selectAll()
        .where('tenant', '=', tenant)
        .$if(after !== null, (query) => query.where('id', '>', after))
        .orderBy('id')
        .limit(limit + 1)
        .execute()
      return pageOf(rows.map(backfillOf), limit, ({ id }) => id)
    },
    whileOpen: (tenant, id, task) =>
      db.transaction().execute(async (transaction) => {
        const row = await transaction
          .selectFrom('backfills')
          .selectAll()
          .where('tenant', '=', tenant)
          .where('id', '=', id)
          .where('state', '=', 'open')
          .forShare()
          .executeTakeFirst()
        return row === undefined ? null : task(backfillOf(row))
      }),
    close: (tenant, id, endOffsets) =>
      end(db, tenant, id, 'close', async (transaction, { state }) => {
        if (state !== 'open') return
        const cut = JSON.stringify(await endOffsets())
        await transaction
          .updateTable('backfills')
          .set({ state: 'closing', cut: cut as never })
          .where('id', '=', id)
          .execute()
      }),
    cancel: (tenant, id, at) =>
      end(db, tenant, id, 'cancel', async (transaction, { state }) => {
        if (state !== 'open') return
        await transaction
          .updateTable('backfills')
          .set({ state: 'cancelled', ended_at: new Date(at) })
          .where('id', '=', id)
          .execute()
      }),
    countOne: (task, at) =>
      db.transaction().execute(async (transaction) => {
        const row = await transaction
          .selectFrom('backfills')
          .selectAll()
          .where('state', '=', 'closing')
          .orderBy('id')
          .limit(1)
          .forUpdate()
          .skipLocked()
          .executeTakeFirst()
        if (row === undefined) return false
        const events = await task(backfillOf(row))
        await transaction
          .updateTable('backfills')
          .set({ state: 'closed', events, ended_at: new Date(at()) })
          .where('id', '=', row.id)
          .execute()
        return true
      }),
  }
}

function end(
  db: Kysely<Schema>,
  tenant: TenantId,
  id: string,
  command: 'close' | 'cancel',
  apply: (transaction: Transaction<Schema>, backfill: Backfill) => Promise<void>,
): ReturnType<Backfills['close']> {
  return db.transaction().execute(async (transaction) => {
    const find = transaction
      .selectFrom('backfills')
      .selectAll()
      .where('tenant', '=', tenant)
      .where('id', '=', id)
    const row = await find.forUpdate().executeTakeFirst()
    if (row === undefined) return { kind: 'unknown' }
    const backfill = backfillOf(row)
    if (nextBackfillState(backfill.state, command) === null) return { kind: 'refused', state: backfill.state }
    await apply(transaction, backfill)
    return { kind: 'done', backfill: backfillOf(await find.executeTakeFirstOrThrow()) }
  })
}

function backfillOf(row: Selectable<Schema['backfills']>): Backfill {
  const instant = (date: Date): Instant => instantOf(date.getTime())
  return {
    ...{
      id: row.id,
      tenant: row.tenant as TenantId,
      source: row.source,
      reason: row.reason,
      state: row.state,
    },
    range: { start: instant(row.from_at), end: instant(row.to_at) },
    cut: row.cut,
    events: row.events,
    createdAt: instant(row.created_at),
    endedAt: row.ended_at === null ? null : instant(row.ended_at),
  }
}
