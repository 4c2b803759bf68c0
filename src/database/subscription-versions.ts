import { sql, type Transaction } from 'kysely'
import type { PlanVersion } from '../catalog/plan.ts'
import type { PlanFault } from '../catalog/plan-parse.ts'
import { effectivePrices } from '../catalog/price-override.ts'
import type { SubscriptionId } from '../id/ids.ts'
import { samePhases, versionStart, withVersion } from '../subscription/phases.ts'
import { scheduleOf, type Subscription, type SubscriptionPhase } from '../subscription/subscription.ts'
import type { Instant } from '../time/instant.ts'
import type { Schema } from './schema.ts'
import { heldOf, replaceSubscription, subscriptionRows } from './subscription-rows.ts'

export type VersionSpread =
  | {
      readonly kind: 'spread'
      /** Writes of the subscriptions that the version reaches, to be run when the version is in its table. */
      readonly changes: readonly (() => Promise<void>)[]
    }
  | {
      readonly kind: 'overridesDoNotFit'
      readonly subscription: SubscriptionId
      readonly faults: readonly PlanFault[]
    }

/**
 * What a new version of a plan means to those who are subscribed already, by its policy. Nobody is given another
 * price for time that has passed: the version reaches a subscription at its customer's now at the earliest.
 * The plan must be locked (`lockPlan`); the rows of its subscriptions are locked here.
 * @param at the system's now
 */
export async function spreadVersion(
  transaction: Transaction<Schema>,
  plan: PlanVersion,
  at: Instant,
): Promise<VersionSpread> {
  const changes: (() => Promise<void>)[] = []
  if (plan.existingSubscriptions === 'grandfather') return { kind: 'spread', changes }
  await lockSubscriptions(transaction, plan)
  const rows = await subscriptionRows(transaction)
    .where('s.tenant', '=', plan.tenant)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('subscription_phases as p')
          .select('p.plan')
          .whereRef('p.tenant', '=', 's.tenant')
          .whereRef('p.subscription', '=', 's.id')
          .where('p.plan', '=', plan.key),
      ),
    )
    .where('s.ended_at', 'is', null)
    .orderBy('s.id')
    .execute()
  const comparable = await comparableVersions(transaction, plan)
  for (const row of rows) {
    const { subscription, testClockNow } = heldOf(row)
    const onPlan = subscription.phases.filter((phase) => phase.plan === plan.key)
    if (!onPlan.every((phase) => comparable.has(phase.version))) continue
    const phases = phasesUnder(subscription, plan, testClockNow ?? at)
    if (samePhases(subscription.phases, phases)) continue
    for (const phase of phases) {
      if (phase.plan !== plan.key || phase.version !== plan.version) continue
      const effective = effectivePrices(plan, phase.overrides)
      if (effective.kind === 'faulty') {
        return { kind: 'overridesDoNotFit', subscription: subscription.id, faults: effective.faults }
      }
    }
    const after = { ...subscription, phases, revision: subscription.revision + 1, updatedAt: at }
    changes.push(() => replaceSubscription(transaction, subscription, after))
  }
  return { kind: 'spread', changes }
}

function phasesUnder(
  subscription: Subscription,
  plan: PlanVersion,
  now: Instant,
): readonly SubscriptionPhase[] {
  const effectiveAt = plan.effectiveAt === null || plan.effectiveAt < now ? now : plan.effectiveAt
  const start = versionStart(plan, effectiveAt, scheduleOf(subscription, plan.interval))
  return start === null ? subscription.phases : withVersion(subscription.phases, plan, start)
}

/** Locks the clocks and then the rows of those who are on the plan, each in order, as everybody else does. */
async function lockSubscriptions(transaction: Transaction<Schema>, plan: PlanVersion): Promise<void> {
  const onPlan = sql`
    select s.id from subscriptions s
    where s.tenant = ${plan.tenant} and s.ended_at is null and exists (
      select from subscription_phases p
      where p.tenant = s.tenant and p.subscription = s.id and p.plan = ${plan.key})`
  await sql`
    select id from test_clocks where tenant = ${plan.tenant} and id in (
      select c.test_clock from customers c
      join subscriptions s on s.tenant = c.tenant and s.customer = c.key
      where s.tenant = ${plan.tenant} and s.id in (${onPlan}))
    order by id for share`.execute(transaction)
  await sql`
    select id from subscriptions where tenant = ${plan.tenant} and id in (${onPlan})
    order by id for update`.execute(transaction)
}

/** Versions of the plan in its currency and interval: others are of a time when nobody had subscribed. */
async function comparableVersions(
  transaction: Transaction<Schema>,
  plan: PlanVersion,
): Promise<ReadonlySet<number>> {
  const rows = await transaction
    .selectFrom('plan_versions')
    .select('version')
    .where('tenant', '=', plan.tenant)
    .where('key', '=', plan.key)
    .where(sql<string>`document ->> 'currency'`, '=', plan.currency)
    .where(sql<string>`document ->> 'interval'`, '=', plan.interval)
    .execute()
  return new Set(rows.map(({ version }) => version))
}
