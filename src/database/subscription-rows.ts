import { sql, type Transaction } from 'kysely'
import type { PriceOverrides } from '../catalog/price-override.ts'
import type { CustomerKey, PlanKey, SubscriptionId, TenantId } from '../id/ids.ts'
import type { SubscriptionState } from '../subscription/lifecycle.ts'
import type { Subscription, SubscriptionPause, SubscriptionPhase } from '../subscription/subscription.ts'
import type { HeldSubscription } from '../subscription/subscription-book.ts'
import { nextDue, type SubscriptionNotice } from '../subscription/transitions.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import type { Schema } from './schema.ts'
import { replacePhases } from './subscription-phases.ts'
import type { Connection } from './transaction.ts'

interface PhaseDocument {
  readonly startMs: number
  readonly plan: string
  readonly version: number
  readonly reason: string
  readonly overrides: PriceOverrides
}

interface PauseDocument {
  readonly startMs: number
  readonly endMs: number | null
}

interface SubscriptionRow {
  readonly tenant: string
  readonly id: string
  readonly customer: string
  readonly state: string
  readonly starts_at: Date
  readonly anchor_day: number
  readonly timezone: string
  readonly cancel_at: Date | null
  readonly ended_at: Date | null
  readonly revision: number
  readonly created_at: Date
  readonly updated_at: Date
  readonly test_clock_now: Date | null
  readonly phases: readonly PhaseDocument[]
  readonly pauses: readonly PauseDocument[]
}

/** Whole subscriptions, phases and pauses with them, each as of one moment: one statement reads all of it. */
export function subscriptionRows(db: Connection) {
  return db
    .selectFrom('subscriptions as s')
    .innerJoin('customers as c', (join) =>
      join.onRef('c.tenant', '=', 's.tenant').onRef('c.key', '=', 's.customer'),
    )
    .leftJoin('test_clocks as t', (join) =>
      join.onRef('t.tenant', '=', 'c.tenant').onRef('t.id', '=', 'c.test_clock'),
    )
    .select([
      's.tenant',
      's.id',
      's.customer',
      's.state',
      's.starts_at',
      's.anchor_day',
      's.timezone',
      's.cancel_at',
      's.ended_at',
      's.revision',
      's.created_at',
      's.updated_at',
      't.now as test_clock_now',
      sql<readonly PhaseDocument[]>`(
        select jsonb_agg(jsonb_build_object(
          'startMs', (extract(epoch from p.starts_at) * 1000)::bigint,
          'plan', p.plan, 'version', p.plan_version, 'reason', p.reason, 'overrides', p.overrides
        ) order by p.starts_at)
        from subscription_phases p where p.tenant = s.tenant and p.subscription = s.id)`.as('phases'),
      sql<readonly PauseDocument[]>`coalesce((
        select jsonb_agg(jsonb_build_object(
          'startMs', (extract(epoch from p.starts_at) * 1000)::bigint,
          'endMs', (extract(epoch from p.ends_at) * 1000)::bigint
        ) order by p.starts_at)
        from subscription_pauses p where p.tenant = s.tenant and p.subscription = s.id), '[]')`.as('pauses'),
    ])
}

export function subscriptionOf(row: SubscriptionRow): Subscription {
  return {
    tenant: row.tenant as TenantId,
    id: row.id as SubscriptionId,
    customer: row.customer as CustomerKey,
    state: row.state as SubscriptionState,
    startsAt: instantOf(row.starts_at.getTime()),
    anchorDay: row.anchor_day,
    timezone: row.timezone,
    cancelAt: instantOrNull(row.cancel_at),
    endedAt: instantOrNull(row.ended_at),
    phases: row.phases.map((phase) => ({
      start: instantOf(phase.startMs),
      plan: phase.plan as PlanKey,
      version: phase.version,
      reason: phase.reason as SubscriptionPhase['reason'],
      overrides: phase.overrides,
    })),
    pauses: row.pauses.map(({ startMs, endMs }) => ({
      start: instantOf(startMs),
      end: endMs === null ? null : instantOf(endMs),
    })),
    revision: row.revision,
    createdAt: instantOf(row.created_at.getTime()),
    updatedAt: instantOf(row.updated_at.getTime()),
  }
}

export function heldOf(row: SubscriptionRow): HeldSubscription {
  return { subscription: subscriptionOf(row), testClockNow: instantOrNull(row.test_clock_now) }
}

/** Writes a subscription that is not there yet. Its rows and those of its phases belong to one transaction. */
export async function insertSubscription(
  transaction: Transaction<Schema>,
  subscription: Subscription,
): Promise<void> {
  const { tenant, id, customer, startsAt, anchorDay, timezone, createdAt } = subscription
  await transaction
    .insertInto('subscriptions')
    .values({
      tenant,
      id,
      customer,
      starts_at: new Date(startsAt),
      anchor_day: anchorDay,
      timezone,
      created_at: new Date(createdAt),
      ...changeable(subscription),
    })
    .execute()
  await replacePhases(transaction, tenant, [{ id, before: [], after: subscription.phases }], createdAt)
  await writePauses(transaction, subscription, [])
}

/** Writes what has changed between two states of a subscription whose row this transaction has locked. */
export async function replaceSubscription(
  transaction: Transaction<Schema>,
  before: Subscription,
  after: Subscription,
): Promise<void> {
  await transaction
    .updateTable('subscriptions')
    .set(changeable(after))
    .where('tenant', '=', after.tenant)
    .where('id', '=', after.id)
    .executeTakeFirstOrThrow()
  const { tenant, id, phases, updatedAt } = after
  await replacePhases(transaction, tenant, [{ id, before: before.phases, after: phases }], updatedAt)
  await writePauses(transaction, after, before.pauses)
}

/** Appends to the history, in order. The row of the subscription must be locked. */
export async function appendNotices(
  transaction: Transaction<Schema>,
  { tenant, id }: Pick<Subscription, 'tenant' | 'id'>,
  notices: readonly SubscriptionNotice[],
): Promise<void> {
  if (notices.length === 0) return
  const last = await transaction
    .selectFrom('subscription_events')
    .select((eb) => eb.fn.max('number').as('number'))
    .where('tenant', '=', tenant)
    .where('subscription', '=', id)
    .executeTakeFirst()
  // No row has no maximum, which the types of the query builder do not say.
  const before = (last?.number as number | null | undefined) ?? 0
  await transaction
    .insertInto('subscription_events')
    .values(
      notices.map(({ event, at, detail }, i) => ({
        tenant,
        subscription: id,
        number: before + 1 + i,
        event,
        at: new Date(at),
        detail: JSON.stringify(detail),
      })),
    )
    .execute()
}

function changeable(subscription: Subscription) {
  return {
    state: subscription.state,
    cancel_at: dateOrNull(subscription.cancelAt),
    ended_at: dateOrNull(subscription.endedAt),
    due_at: dateOrNull(nextDue(subscription)?.at ?? null),
    revision: subscription.revision,
    updated_at: new Date(subscription.updatedAt),
  }
}

async function writePauses(
  transaction: Transaction<Schema>,
  { tenant, id, pauses }: Subscription,
  before: readonly SubscriptionPause[],
): Promise<void> {
  const isSame = (a: SubscriptionPause, b: SubscriptionPause): boolean =>
    a.start === b.start && a.end === b.end
  const gone = before.filter((pause) => !pauses.some((other) => isSame(pause, other)))
  const added = pauses.filter((pause) => !before.some((other) => isSame(pause, other)))
  if (gone.length > 0) {
    await transaction
      .deleteFrom('subscription_pauses')
      .where('tenant', '=', tenant)
      .where('subscription', '=', id)
      .where(
        'starts_at',
        'in',
        gone.map((pause) => new Date(pause.start)),
      )
      .execute()
  }
  if (added.length > 0) {
    await transaction
      .insertInto('subscription_pauses')
      .values(
        added.map(({ start, end }) => ({
          tenant,
          subscription: id,
          starts_at: new Date(start),
          ends_at: dateOrNull(end),
        })),
      )
      .execute()
  }
}

function instantOrNull(date: Date | null): Instant | null {
  return date === null ? null : instantOf(date.getTime())
}

function dateOrNull(at: Instant | null): Date | null {
  return at === null ? null : new Date(at)
}
