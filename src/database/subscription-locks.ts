import { type Transaction } from 'kysely'
import type { SubscriptionId, TenantId } from '../id/ids.ts'
import type { HeldSubscription } from '../subscription/subscription-book.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import type { Schema } from './schema.ts'
import { heldOf, subscriptionRows } from './subscription-rows.ts'

// Everything that changes subscriptions takes its locks in this order, so that no two wait for each other:
// the plan (lockPlan), the customer (lockName), the test clock (shared), the row of the subscription.

/** A subscription under the lock of this transaction, and the present of its customer, which stands still meanwhile. */
export interface LockedSubscription extends HeldSubscription {
  readonly now: Instant
}

/** Null when there is none. */
export async function lockSubscription(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  id: SubscriptionId,
  systemNow: Instant,
): Promise<LockedSubscription | null> {
  // Whoever advances the clock waits, and then finds due what this transaction has scheduled.
  await transaction
    .selectFrom('subscriptions as s')
    .innerJoin('customers as c', (join) =>
      join.onRef('c.tenant', '=', 's.tenant').onRef('c.key', '=', 's.customer'),
    )
    .innerJoin('test_clocks as t', (join) =>
      join.onRef('t.tenant', '=', 'c.tenant').onRef('t.id', '=', 'c.test_clock'),
    )
    .select('t.now')
    .where('s.tenant', '=', tenant)
    .where('s.id', '=', id)
    .forShare('t')
    .execute()
  await transaction
    .selectFrom('subscriptions')
    .select('id')
    .where('tenant', '=', tenant)
    .where('id', '=', id)
    .forUpdate()
    .execute()
  // Read by a statement of its own: it sees what the transaction that held the lock has written.
  const row = await subscriptionRows(transaction)
    .where('s.tenant', '=', tenant)
    .where('s.id', '=', id)
    .executeTakeFirst()
  if (row === undefined) return null
  const held = heldOf(row)
  return { ...held, now: held.testClockNow ?? systemNow }
}

/** A test clock's time, which stands still until the end of the transaction; null when there is no such clock. */
export async function holdTestClock(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  testClock: string,
): Promise<Instant | null> {
  const row = await transaction
    .selectFrom('test_clocks')
    .select('now')
    .where('tenant', '=', tenant)
    .where('id', '=', testClock)
    .forShare()
    .executeTakeFirst()
  return row === undefined ? null : instantOf(row.now.getTime())
}
