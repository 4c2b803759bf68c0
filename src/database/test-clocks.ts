import type { Kysely } from 'kysely'
import type { CustomerTime, TestClock, TestClocks } from '../customer/test-clock.ts'
import type { TenantId, TestClockId } from '../id/ids.ts'
import { pageOf } from '../id/page.ts'
import type { Clock } from '../time/clock.ts'
import { instantOf } from '../time/instant.ts'
import type { DirectoryChange } from '../usage/directory-change.ts'
import { TOPIC_DIRECTORY } from '../usage/topics.ts'
import { addToOutbox } from './outbox.ts'
import type { Schema } from './schema.ts'
import { type Connection, nextChangeVersion } from './transaction.ts'

interface TestClockRow {
  readonly tenant: string
  readonly id: string
  readonly now: Date
  readonly created_at: Date
}

export function createTestClocks(db: Kysely<Schema>): TestClocks {
  return {
    async get(tenant, id) {
      const row = await clockRows(db, tenant, id).executeTakeFirst()
      return row === undefined ? null : testClockOf(row)
    },
    async list(tenant, { limit, after }) {
      const rows = await db
        .selectFrom('test_clocks')
        .selectAll()
        .where('tenant', '=', tenant)
        .$if(after !== null, (query) => query.where('id', '>', after))
        .orderBy('id')
        .limit(limit + 1)
        .execute()
      return pageOf(rows.map(testClockOf), limit, (clock) => clock.id)
    },
    create: (clock) =>
      db.transaction().execute(async (transaction) => {
        const version = await nextChangeVersion(transaction)
        const made = await transaction
          .insertInto('test_clocks')
          .values({
            tenant: clock.tenant,
            id: clock.id,
            now: new Date(clock.now),
            version,
            created_at: new Date(clock.createdAt),
          })
          .onConflict((conflict) => conflict.doNothing())
          .returningAll()
          .executeTakeFirst()
        if (made === undefined) {
          const there = await clockRows(transaction, clock.tenant, clock.id).executeTakeFirstOrThrow()
          return { kind: 'exists', clock: testClockOf(there) }
        }
        await publish(transaction, clock, version)
        return { kind: 'created', clock }
      }),
    advance: (tenant, id, to) =>
      db.transaction().execute(async (transaction) => {
        const row = await clockRows(transaction, tenant, id).forUpdate().executeTakeFirst()
        if (row === undefined) return { kind: 'unknown' }
        const before = testClockOf(row)
        if (to < before.now) return { kind: 'backwards', clock: before }
        if (to === before.now) return { kind: 'advanced', clock: before }
        const version = await nextChangeVersion(transaction)
        await transaction
          .updateTable('test_clocks')
          .set({ now: new Date(to), version })
          .where('tenant', '=', tenant)
          .where('id', '=', id)
          .execute()
        const clock = { ...before, now: to }
        await publish(transaction, clock, version)
        return { kind: 'advanced', clock }
      }),
  }
}

/** Asks the database each time: a test clock that was just advanced must not be seen as it was before. */
export function createCustomerTime(db: Connection, clock: Clock): CustomerTime {
  return {
    async nowOf(tenant, customer) {
      const row = await db
        .selectFrom('customers as c')
        .innerJoin('test_clocks as t', (join) =>
          join.onRef('t.tenant', '=', 'c.tenant').onRef('t.id', '=', 'c.test_clock'),
        )
        .select('t.now')
        .where('c.tenant', '=', tenant)
        .where('c.key', '=', customer)
        .executeTakeFirst()
      return row === undefined ? clock.now() : instantOf(row.now.getTime())
    },
  }
}

function clockRows(db: Connection, tenant: TenantId, id: TestClockId) {
  return db.selectFrom('test_clocks').selectAll().where('tenant', '=', tenant).where('id', '=', id)
}

function testClockOf(row: TestClockRow): TestClock {
  return {
    tenant: row.tenant as TenantId,
    id: row.id as TestClockId,
    now: instantOf(row.now.getTime()),
    createdAt: instantOf(row.created_at.getTime()),
  }
}

async function publish(transaction: Connection, clock: TestClock, version: number): Promise<void> {
  const change: DirectoryChange = {
    kind: 'testClock',
    version,
    tenant: clock.tenant,
    testClock: clock.id,
    now: clock.now,
  }
  await addToOutbox(transaction, TOPIC_DIRECTORY, change)
}
