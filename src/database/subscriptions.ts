import { type Kysely, sql } from 'kysely'
import type { SubscriptionId, TenantId, TestClockId } from '../id/ids.ts'
import { pageOf } from '../id/page.ts'
import type { SubscriptionBook } from '../subscription/subscription-book.ts'
import type { SubscriptionNotice } from '../subscription/transitions.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import type { Schema } from './schema.ts'
import { changeSubscriptionPlan, commandSubscription, settleCalendar } from './subscription-commands.ts'
import { createSubscription } from './subscription-create.ts'
import { lockSubscription } from './subscription-locks.ts'
import { heldOf, subscriptionOf, subscriptionRows } from './subscription-rows.ts'

/** Subscriptions in PostgreSQL. Every change is one transaction: the rows, their history, the next due time. */
export function createSubscriptionBook(db: Kysely<Schema>): SubscriptionBook {
  return {
    async get(tenant, id) {
      const row = await subscriptionRows(db)
        .where('s.tenant', '=', tenant)
        .where('s.id', '=', id)
        .executeTakeFirst()
      return row === undefined ? null : heldOf(row)
    },
    async ofCustomer(tenant, customer) {
      const rows = await subscriptionRows(db)
        .where('s.tenant', '=', tenant)
        .where('s.customer', '=', customer)
        .orderBy('s.starts_at')
        .orderBy('s.id')
        .execute()
      return rows.map(subscriptionOf)
    },
    async list(tenant, { limit, after }, { customer, plan }) {
      let query = subscriptionRows(db).where('s.tenant', '=', tenant)
      if (after !== null) query = query.where('s.id', '>', after)
      if (customer !== undefined) query = query.where('s.customer', '=', customer)
      if (plan !== undefined) {
        query = query.where((eb) =>
          eb.exists(
            eb
              .selectFrom('subscription_phases as p')
              .select('p.plan')
              .whereRef('p.tenant', '=', 's.tenant')
              .whereRef('p.subscription', '=', 's.id')
              .where('p.plan', '=', plan),
          ),
        )
      }
      const rows = await query
        .orderBy('s.id')
        .limit(limit + 1)
        .execute()
      return pageOf(rows.map(heldOf), limit, ({ subscription }) => subscription.id)
    },
    async history(tenant, id) {
      const rows = await db
        .selectFrom('subscription_events')
        .select(['event', 'at', 'detail'])
        .where('tenant', '=', tenant)
        .where('subscription', '=', id)
        .orderBy('number')
        .execute()
      return rows.map((row) => ({
        event: row.event as SubscriptionNotice['event'],
        at: instantOf(row.at.getTime()),
        detail: row.detail as SubscriptionNotice['detail'],
      }))
    },
    create: (subscription, systemNow) =>
      db.transaction().execute((transaction) => createSubscription(transaction, subscription, systemNow)),
    command: (tenant, id, command, systemNow) =>
      db
        .transaction()
        .execute((transaction) => commandSubscription(transaction, tenant, id, command, systemNow)),
    changePlan: (tenant, id, change, systemNow) =>
      db
        .transaction()
        .execute((transaction) => changeSubscriptionPlan(transaction, tenant, id, change, systemNow)),
    runDue: (systemNow, scope) => runDue(db, systemNow, scope),
  }
}

/** Subscriptions whose names are in memory at once. */
const dueBatchMax = 500

interface DueScope {
  readonly tenant: TenantId
  readonly testClock: TestClockId
}

/**
 * Each due subscription in a transaction of its own, so that one at fault holds up no other; its fault is thrown at
 * the end, when the others have run.
 */
async function runDue(db: Kysely<Schema>, systemNow: Instant, scope: DueScope | undefined): Promise<number> {
  let changed = 0
  let after: DueSubscription | null = null
  const faults: unknown[] = []
  for (;;) {
    const due = await dueSubscriptions(db, systemNow, scope, after)
    for (const { tenant, id } of due) {
      try {
        if (await runOne(db, tenant, id, systemNow)) changed++
      } catch (error) {
        faults.push(new Error(`the subscription ${id} cannot catch up with the calendar`, { cause: error }))
      }
    }
    after = due.at(-1) ?? null
    if (after === null || due.length < dueBatchMax) break
  }
  if (faults.length > 0) throw new AggregateError(faults, `${faults.length} due subscriptions failed`)
  return changed
}

function runOne(
  db: Kysely<Schema>,
  tenant: TenantId,
  id: SubscriptionId,
  systemNow: Instant,
): Promise<boolean> {
  return db.transaction().execute(async (transaction) => {
    const locked = await lockSubscription(transaction, tenant, id, systemNow)
    return locked !== null && (await settleCalendar(transaction, locked, systemNow))
  })
}

interface DueSubscription {
  readonly tenant: TenantId
  readonly id: SubscriptionId
}

/** The next of those for whom something is due by their customer's clock, in the order of their names. */
async function dueSubscriptions(
  db: Kysely<Schema>,
  systemNow: Instant,
  scope: DueScope | undefined,
  after: DueSubscription | null,
): Promise<readonly DueSubscription[]> {
  // Two questions, because each has an index of its own; it is asked every second.
  const bySystem = sql`
    select s.tenant, s.id from subscriptions s
    join customers c on c.tenant = s.tenant and c.key = s.customer
    where s.due_at <= ${new Date(systemNow)} and c.test_clock is null`
  const byTestClock = sql`
    select s.tenant, s.id from test_clocks t
    join customers c on c.tenant = t.tenant and c.test_clock = t.id
    join subscriptions s on s.tenant = c.tenant and s.customer = c.key
    where s.due_at <= t.now`
  const asked =
    scope === undefined
      ? sql`${bySystem} union all ${byTestClock}`
      : sql`${byTestClock} and t.tenant = ${scope.tenant} and t.id = ${scope.testClock}`
  const { rows } = await sql<DueSubscription>`
    select due.tenant, due.id from (${asked}) as due
    where (due.tenant, due.id) > (${after?.tenant ?? ''}, ${after?.id ?? ''})
    order by due.tenant, due.id limit ${dueBatchMax}`.execute(db)
  return rows
}
