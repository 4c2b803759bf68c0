import { type ExpressionBuilder, type Kysely, sql, type SqlBool } from 'kysely'
import { pageOf } from '../id/page.ts'
import type { TenantId } from '../id/ids.ts'
import type { SchemaFault } from '../ingest/answer.ts'
import type {
  Claim,
  DeadLetter,
  DeadLetterFilter,
  DeadLetterStore,
  KeptDeadLetter,
  RetriedOutcome,
} from '../ingest/dead-letter.ts'
import type { RejectionCode } from '../ingest/rejection.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import type { Schema } from './schema.ts'

/** Of a row beside its body, about. */
const ROW_BYTES = 512
/** A tenant that has too much keeps this share, so that it is not trimmed again at once. */
const KEPT_SHARE = 0.9
const EMPTY = Buffer.alloc(0)

export function createDeadLetterStore(db: Kysely<Schema>): DeadLetterStore {
  const one = (tenant: TenantId, id: string) => (eb: ExpressionBuilder<Schema, 'dead_letters'>) =>
    eb.and({ tenant, id })
  return {
    async keep(letters) {
      await db
        .insertInto('dead_letters')
        // In one order for all writers: two that meet would wait for each other for ever.
        .values(
          letters.map(rowOf).toSorted((a, b) => (`${a.tenant} ${a.id}` < `${b.tenant} ${b.id}` ? -1 : 1)),
        )
        .onConflict((conflict) =>
          conflict.columns(['tenant', 'id']).doUpdateSet((eb) => ({
            code: eb.ref('excluded.code'),
            detail: eb.ref('excluded.detail'),
            errors: eb.ref('excluded.errors'),
            times: sql<number>`dead_letters.times + excluded.times`,
            last_at: eb.ref('excluded.last_at'),
            outcome: null,
            retried_at: null,
          })),
        )
        .execute()
    },
    async list(tenant, filter, { limit, after }) {
      const rows = await filtered(db, tenant, filter)
        .$if(after !== null, (query) => query.where(cursorBefore(after ?? '')))
        .orderBy('first_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1)
        .execute()
      return pageOf(
        rows.map((row) => keptLetter({ ...row, body: EMPTY })),
        limit,
        cursorOf,
      )
    },
    async get(tenant, id) {
      const row = await db.selectFrom('dead_letters').selectAll().where(one(tenant, id)).executeTakeFirst()
      return row === undefined ? null : keptLetter(row)
    },
    async claim(tenant, id, now, leaseMs): Promise<Claim> {
      const claimed = await db
        .updateTable('dead_letters')
        .set({ claimed_until: new Date(now + leaseMs) })
        .where(one(tenant, id))
        .where('outcome', 'is', null)
        .where((eb) => eb.or([eb('claimed_until', 'is', null), eb('claimed_until', '<=', new Date(now))]))
        .returningAll()
        .executeTakeFirst()
      if (claimed !== undefined) return { kind: 'claimed', letter: keptLetter(claimed) }
      const row = await db
        .selectFrom('dead_letters')
        .select('outcome')
        .where(one(tenant, id))
        .executeTakeFirst()
      if (row === undefined) return { kind: 'unknown' }
      return { kind: row.outcome === null ? 'running' : 'retried' }
    },
    async settle(tenant, id, outcome, now) {
      await db
        .updateTable('dead_letters')
        .set({ outcome, retried_at: new Date(now), claimed_until: null })
        .where(one(tenant, id))
        .execute()
    },
    async release(tenant, id, reason) {
      const told =
        reason === null
          ? {}
          : { code: reason.code, detail: reason.detail, errors: JSON.stringify(reason.errors) }
      await db
        .updateTable('dead_letters')
        .set({ claimed_until: null, ...told })
        .where(one(tenant, id))
        .execute()
    },
    prune: (before, tenantBytesMax) => prune(db, before, tenantBytesMax),
  }
}

function filtered(db: Kysely<Schema>, tenant: TenantId, { code, type, since, state }: DeadLetterFilter) {
  return db
    .selectFrom('dead_letters')
    .select(['tenant', 'id', 'code', 'detail', 'errors', 'event_id', 'source', 'type', 'subject', 'is_cut'])
    .select(['times', 'arrived_at', 'first_at', 'last_at', 'outcome', 'retried_at'])
    .where('tenant', '=', tenant)
    .$if(code !== undefined, (query) => query.where('code', '=', code ?? ''))
    .$if(type !== undefined, (query) => query.where('type', '=', type ?? ''))
    .$if(since !== undefined, (query) => query.where('last_at', '>=', new Date(since ?? 0)))
    .$if(state !== undefined, (query) => query.where('outcome', state === 'retried' ? 'is not' : 'is', null))
}

/** `<milliseconds>.<id>` of the last letter of a page. */
function cursorOf({ firstAt, id }: KeptDeadLetter): string {
  return `${firstAt}.${id}`
}

function cursorBefore(cursor: string) {
  const at = cursor.indexOf('.')
  const firstAt = new Date(Number(cursor.slice(0, at)))
  return sql<SqlBool>`(first_at, id) < (${firstAt}, ${cursor.slice(at + 1)})`
}

async function prune(
  db: Kysely<Schema>,
  before: Instant,
  tenantBytesMax: number,
): Promise<{ readonly expired: number; readonly evicted: number }> {
  const old = await db.deleteFrom('dead_letters').where('first_at', '<', new Date(before)).executeTakeFirst()
  const full = await db
    .selectFrom('dead_letters')
    .select('tenant')
    .groupBy('tenant')
    .having((eb) => eb.fn.sum<number>('bytes'), '>', tenantBytesMax)
    .execute()
  let evicted = 0
  for (const { tenant } of full) {
    const answer = await sql`
      delete from dead_letters d using (
        select id, sum(bytes) over (order by first_at desc, id desc) as held
        from dead_letters where tenant = ${tenant}
      ) h
      where d.tenant = ${tenant} and d.id = h.id and h.held > ${Math.floor(tenantBytesMax * KEPT_SHARE)}
    `.execute(db)
    evicted += Number(answer.numAffectedRows ?? 0n)
  }
  return { expired: Number(old.numDeletedRows), evicted }
}

function rowOf({ tenant, id, reason, named, body, isCut, times, arrivedAt, lastAt }: DeadLetter) {
  const at = new Date(lastAt)
  return {
    ...{ tenant, id, code: reason.code, detail: reason.detail, errors: JSON.stringify(reason.errors) },
    ...{ event_id: named.id, source: named.source, type: named.type, subject: named.subject },
    ...{ body: Buffer.from(body), is_cut: isCut, bytes: body.length + ROW_BYTES, times },
    ...{ arrived_at: new Date(arrivedAt), first_at: at, last_at: at },
  }
}

interface Row {
  readonly tenant: string
  readonly id: string
  readonly code: string
  readonly detail: string
  readonly errors: unknown
  readonly event_id: string | null
  readonly source: string | null
  readonly type: string | null
  readonly subject: string | null
  readonly body: Buffer
  readonly is_cut: boolean
  readonly times: number
  readonly arrived_at: Date
  readonly first_at: Date
  readonly last_at: Date
  readonly outcome: string | null
  readonly retried_at: Date | null
}

function keptLetter(row: Row): KeptDeadLetter {
  const { id, source, type, subject } = { ...row, id: row.event_id }
  return {
    tenant: row.tenant as TenantId,
    id: row.id,
    reason: {
      code: row.code as RejectionCode,
      detail: row.detail,
      errors: row.errors as readonly SchemaFault[],
    },
    named: { id, source, type, subject },
    body: row.body,
    isCut: row.is_cut,
    times: row.times,
    arrivedAt: instantOf(row.arrived_at.getTime()),
    firstAt: instantOf(row.first_at.getTime()),
    lastAt: instantOf(row.last_at.getTime()),
    retried:
      row.outcome === null || row.retried_at === null
        ? null
        : { outcome: row.outcome as RetriedOutcome, at: instantOf(row.retried_at.getTime()) },
  }
}
