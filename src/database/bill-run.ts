import { createHash } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import type { CustomerKey, TenantId } from '../id/ids.ts'
import type { BillSchedule, BillScope, DueBilling } from '../invoice/bill-run-ports.ts'
import { instantOf } from '../time/instant.ts'
import type { Database } from './database.ts'
import type { Schema } from './schema.ts'

/** When customers are billed next, in PostgreSQL. Entries are claimed by locks of a session: they end with their process. */
export function createBillSchedule({ db }: Pick<Database, 'db'>): BillSchedule {
  return {
    async stale(scope, limit) {
      const rows = await sql<StaleRow>`
        select s.tenant, s.customer, s.revision, s.passed
        from bill_schedules s ${customersOf(scope)}
        where s.is_stale ${scopeCondition(scope)}
        order by s.tenant, s.customer limit ${limit}`.execute(db)
      return rows.rows.map(({ tenant, customer, revision, passed }) => ({
        tenant: tenant as TenantId,
        customer: customer as CustomerKey,
        revision,
        passed: passed.map((at) => instantOf(at.getTime())),
      }))
    },

    async reschedule(entries) {
      if (entries.length === 0) return
      const rows = entries.map(({ tenant, customer, revision, nextClose }) => ({
        tenant,
        customer,
        revision,
        next: nextClose === null ? null : new Date(nextClose).toISOString(),
      }))
      await sql`
        update bill_schedules s
        set next_close = e.next, is_stale = false, held_kind = null, held_detail = null, held_since = null, retry_at = null
        from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
          as e (tenant text, customer text, revision bigint, next timestamptz)
        where s.tenant = e.tenant and s.customer = e.customer and s.revision = e.revision`.execute(db)
    },

    async due({ systemNow, graceMs, scope, includeHeld, limit }) {
      const now = new Date(systemNow)
      const rows = await sql<DueRow>`
        select s.tenant, s.customer, s.next_close, coalesce(t.now, ${now}) as now
        from bill_schedules s
        join customers c on c.tenant = s.tenant and c.key = s.customer
        left join test_clocks t on t.tenant = c.tenant and t.id = c.test_clock
        where not s.is_stale
          and s.next_close <= coalesce(t.now, ${now}) - ${graceMs} * interval '1 millisecond'
          and (${includeHeld} or s.retry_at is null or s.retry_at <= ${now})
          ${scopeCondition(scope)}
        order by s.next_close, s.tenant, s.customer limit ${limit}`.execute(db)
      return rows.rows.map(({ tenant, customer, next_close, now: present }) => ({
        tenant: tenant as TenantId,
        customer: customer as CustomerKey,
        periodEnd: instantOf(next_close.getTime()),
        now: instantOf(present.getTime()),
      }))
    },

    async pass({ tenant, customer, periodEnd }) {
      await sql`
        update bill_schedules
        set passed = array_append(passed, ${new Date(periodEnd)}::timestamptz), is_stale = true, revision = revision + 1
        where tenant = ${tenant} and customer = ${customer}`.execute(db)
    },

    async hold({ tenant, customer, periodEnd }, { kind, detail }, since, retryAt) {
      await sql`
        update bill_schedules
        set held_kind = ${kind}, held_detail = ${detail}, retry_at = ${new Date(retryAt)},
            held_since = case when held_kind = ${kind} then held_since else ${new Date(since)} end
        where tenant = ${tenant} and customer = ${customer} and next_close = ${new Date(periodEnd)}`.execute(
        db,
      )
    },

    async held(tenant, limit) {
      const rows = await sql<HeldRow>`
        select customer, next_close, held_kind, held_detail, held_since, retry_at
        from bill_schedules
        where tenant = ${tenant} and held_kind is not null and next_close is not null and retry_at is not null
        order by customer limit ${limit}`.execute(db)
      return rows.rows.map((row) => ({
        customer: row.customer as CustomerKey,
        periodEnd: instantOf(row.next_close.getTime()),
        kind: row.held_kind,
        detail: row.held_detail,
        since: instantOf(row.held_since.getTime()),
        retryAt: instantOf(row.retry_at.getTime()),
      }))
    },

    exclusively: (entries, work) =>
      db.connection().execute(async (connection) => {
        const keys = entries.map(lockKey)
        const answer = await sql<{ own: boolean }>`
          select pg_try_advisory_lock(k.key) as own
          from unnest(${keys}::bigint[]) with ordinality as k (key, place) order by k.place`.execute(
          connection,
        )
        const isOwn = answer.rows.map(({ own }) => own)
        try {
          await work(entries.filter((_, i) => isOwn[i] === true))
        } finally {
          await unlock(
            connection,
            keys.filter((_, i) => isOwn[i] === true),
          )
        }
        return entries.filter((_, i) => isOwn[i] !== true)
      }),

    whenFree: (entry) =>
      db.connection().execute(async (connection) => {
        const key = lockKey(entry)
        await sql`select pg_advisory_lock(${key}::bigint)`.execute(connection)
        await unlock(connection, [key])
      }),
  }
}

interface StaleRow {
  readonly tenant: string
  readonly customer: string
  readonly revision: number
  readonly passed: readonly Date[]
}

interface DueRow {
  readonly tenant: string
  readonly customer: string
  readonly next_close: Date
  readonly now: Date
}

interface HeldRow {
  readonly customer: string
  readonly next_close: Date
  readonly held_kind: string
  readonly held_detail: string
  readonly held_since: Date
  readonly retry_at: Date
}

async function unlock(connection: Kysely<Schema>, keys: readonly string[]): Promise<void> {
  await sql`select pg_advisory_unlock(k.key) from unnest(${keys}::bigint[]) as k (key)`.execute(connection)
}

function customersOf(scope: BillScope | null): ReturnType<typeof sql> {
  return scope === null ? sql`` : sql`join customers c on c.tenant = s.tenant and c.key = s.customer`
}

function scopeCondition(scope: BillScope | null): ReturnType<typeof sql> {
  return scope === null ? sql`` : sql`and s.tenant = ${scope.tenant} and c.test_clock = ${scope.testClock}`
}

/** A 64-bit name of a customer's billing for PostgreSQL's advisory locks, which are shared with nothing else of ours. */
function lockKey({ tenant, customer }: Pick<DueBilling, 'tenant' | 'customer'>): string {
  const text = JSON.stringify(['billing', tenant, customer])
  const digest = createHash('sha256').update(text).digest()
  return digest.readBigInt64BE(0).toString()
}
