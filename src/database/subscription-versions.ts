import { sql, type Transaction } from 'kysely'
import type { PlanVersion } from '../catalog/plan.ts'
import type { PlanFault } from '../catalog/plan-parse.ts'
import { effectivePrices, type PriceOverrides } from '../catalog/price-override.ts'
import type { SubscriptionId } from '../id/ids.ts'
import { samePhases, versionStart, withVersion } from '../subscription/phases.ts'
import { scheduleOf, type Subscription, type SubscriptionPhase } from '../subscription/subscription.ts'
import type { Instant } from '../time/instant.ts'
import type { Schema } from './schema.ts'
import { type PhaseChange, writePhaseChanges } from './subscription-phases.ts'
import { heldOf, subscriptionRows } from './subscription-rows.ts'

type VersionSpread =
  | {
      readonly kind: 'spread'
      /** Subscriptions that the version reaches. */
      readonly reached: number
      /** To be run when the version is in its table. */
      readonly write: () => Promise<void>
    }
  | {
      readonly kind: 'overridesDoNotFit'
      readonly subscription: SubscriptionId
      readonly faults: readonly PlanFault[]
    }

/** Whole subscriptions that are in memory at once, and changes that one statement writes. */
const batchMax = 1000

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
  const changes: PhaseChange[] = []
  const spread: VersionSpread = {
    kind: 'spread',
    get reached() {
      return changes.length
    },
    write: () => writePhaseChanges(transaction, plan.tenant, changes, at),
  }
  if (plan.existingSubscriptions === 'grandfather') return spread
  await lockSubscriptions(transaction, plan)
  const comparable = await comparableVersions(transaction, plan)
  const faultsOf = overrideJudge(plan)
  let after = ''
  for (;;) {
    const rows = await subscriptionsOnPlan(transaction, plan, after)
    for (const row of rows) {
      const { subscription, testClockNow } = heldOf(row)
      const onPlan = subscription.phases.filter((phase) => phase.plan === plan.key)
      if (!onPlan.every((phase) => comparable.has(phase.version))) continue
      const phases = phasesUnder(subscription, plan, testClockNow ?? at)
      if (samePhases(subscription.phases, phases)) continue
      for (const phase of phases) {
        if (phase.plan !== plan.key || phase.version !== plan.version) continue
        const faults = faultsOf(phase.overrides)
        if (faults.length > 0) return { kind: 'overridesDoNotFit', subscription: subscription.id, faults }
      }
      changes.push({ id: subscription.id, before: subscription.phases, after: phases })
    }
    if (rows.length < batchMax) return spread
    after = rows.at(-1)?.id ?? after
  }
}

function subscriptionsOnPlan(transaction: Transaction<Schema>, plan: PlanVersion, after: string) {
  return subscriptionRows(transaction)
    .where('s.tenant', '=', plan.tenant)
    .where('s.id', '>', after)
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
    .limit(batchMax)
    .execute()
}

/** Most subscriptions of a plan have the same overrides, none: each is judged once. */
function overrideJudge(plan: PlanVersion): (overrides: PriceOverrides) => readonly PlanFault[] {
  const judged = new Map<string, readonly PlanFault[]>()
  return (overrides) => {
    const text = JSON.stringify(overrides)
    const known = judged.get(text)
    if (known !== undefined) return known
    const effective = effectivePrices(plan, overrides)
    const faults = effective.kind === 'faulty' ? effective.faults : []
    judged.set(text, faults)
    return faults
  }
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
