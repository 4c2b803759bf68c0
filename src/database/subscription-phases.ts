import { sql, type Transaction } from 'kysely'
import { sameOverrides } from '../catalog/price-override.ts'
import type { SubscriptionId, TenantId } from '../id/ids.ts'
import type { SubscriptionPhase } from '../subscription/subscription.ts'
import type { Instant } from '../time/instant.ts'
import type { Schema } from './schema.ts'

/** Phases of a subscription whose row is locked or was just written by the transaction. */
export interface PhaseChange {
  readonly id: SubscriptionId
  readonly before: readonly SubscriptionPhase[]
  readonly after: readonly SubscriptionPhase[]
}

/** Subscriptions that one statement writes. */
const batchMax = 1000

/** Writes the phases of many subscriptions of a tenant, and a revision further of each. @param at the system's now */
export async function writePhaseChanges(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  changes: readonly PhaseChange[],
  at: Instant,
): Promise<void> {
  for (let from = 0; from < changes.length; from += batchMax) {
    const batch = changes.slice(from, from + batchMax)
    await transaction
      .updateTable('subscriptions')
      .set({ revision: sql<number>`revision + 1`, updated_at: new Date(at) })
      .where('tenant', '=', tenant)
      .where(sql<boolean>`id = any(${batch.map(({ id }) => id)}::text[])`)
      .execute()
    await replacePhases(transaction, tenant, batch, at)
  }
}

/** Writes what differs; phases that stay keep the time at which they were written. */
export async function replacePhases(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  changes: readonly PhaseChange[],
  at: Instant,
): Promise<void> {
  const gone = changes.flatMap(({ id, before, after }) =>
    before
      .filter((phase) => !after.some((other) => isSame(phase, other)))
      .map(({ start }) => ({ id, start: new Date(start) })),
  )
  const added = changes.flatMap(({ id, before, after }) =>
    after
      .filter((phase) => !before.some((other) => isSame(phase, other)))
      .map((phase) => ({
        id,
        start: new Date(phase.start),
        plan: phase.plan,
        version: phase.version,
        reason: phase.reason,
        overrides: phase.overrides,
      })),
  )
  if (gone.length > 0) {
    await sql`
      delete from subscription_phases p
      using jsonb_to_recordset(${JSON.stringify(gone)}::jsonb) as gone (id text, start timestamptz)
      where p.tenant = ${tenant} and p.subscription = gone.id and p.starts_at = gone.start`.execute(
      transaction,
    )
  }
  if (added.length > 0) {
    await sql`
      insert into subscription_phases
        (tenant, subscription, starts_at, plan, plan_version, reason, overrides, created_at)
      select ${tenant}, id, start, plan, version, reason, overrides, ${new Date(at)}::timestamptz
      from jsonb_to_recordset(${JSON.stringify(added)}::jsonb)
        as added (id text, start timestamptz, plan text, version integer, reason text, overrides jsonb)`.execute(
      transaction,
    )
  }
}

function isSame(a: SubscriptionPhase, b: SubscriptionPhase): boolean {
  return (
    a.start === b.start &&
    a.plan === b.plan &&
    a.version === b.version &&
    a.reason === b.reason &&
    sameOverrides(a.overrides, b.overrides)
  )
}
