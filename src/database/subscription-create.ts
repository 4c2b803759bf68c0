import type { Transaction } from 'kysely'
import type { PlanFault } from '../catalog/plan-parse.ts'
import type { PlanVersion } from '../catalog/plan.ts'
import { effectivePrices } from '../catalog/price-override.ts'
import { phasesFrom, versionAt } from '../subscription/phases.ts'
import type { Subscription, SubscriptionPhase } from '../subscription/subscription.ts'
import type { CreateSubscriptionOutcome, NewSubscription } from '../subscription/subscription-book.ts'
import { catchUp, type SubscriptionNotice } from '../subscription/transitions.ts'
import { anchorDayMax, defaultAnchorDay } from '../time/billing-period.ts'
import { formatInstant, type Instant } from '../time/instant.ts'
import { findCustomer } from './customers.ts'
import { lockPlan, planVersions } from './plans.ts'
import type { Schema } from './schema.ts'
import { holdTestClock } from './subscription-locks.ts'
import { appendNotices, heldOf, insertSubscription, subscriptionRows } from './subscription-rows.ts'
import { lockName } from './transaction.ts'

/** Begins a subscription and whatever has happened to it by the customer's now. An id that is taken is a repeat. */
export async function createSubscription(
  transaction: Transaction<Schema>,
  asked: NewSubscription,
  systemNow: Instant,
): Promise<CreateSubscriptionOutcome> {
  const { tenant, id, plan, overrides } = asked
  await lockPlan(transaction, tenant, plan)
  // Currency, zone and clock of the customer stand still until it has a subscription that keeps them.
  await lockName(transaction, 'customer', tenant, asked.customer)
  const row = await subscriptionRows(transaction)
    .where('s.tenant', '=', tenant)
    .where('s.id', '=', id)
    .executeTakeFirst()
  if (row !== undefined) return { kind: 'created', held: heldOf(row) }

  const customer = await findCustomer(transaction, tenant, asked.customer)
  if (customer === null) return { kind: 'unknownCustomer' }
  const versions = await planVersions(transaction, tenant, plan)
  if (versions.length === 0) return { kind: 'unknownPlan' }
  const testClockNow =
    customer.testClock === null ? null : await holdTestClock(transaction, tenant, customer.testClock)
  const now = testClockNow ?? systemNow
  const startsAt = asked.startsAt ?? now
  const { currency, interval } = versionAt(versions, startsAt)
  if (currency !== customer.currency) {
    return { kind: 'currencyDiffers', customer: customer.currency, plan: currency }
  }
  const dayMax = anchorDayMax(interval)
  const { timezone } = customer
  const anchorDay = asked.anchorDay ?? defaultAnchorDay(startsAt, interval, timezone)
  if (anchorDay < 1 || anchorDay > dayMax) return { kind: 'anchorOutOfRange', anchorDayMax: dayMax }
  const schedule = { startsAt, anchorDay, timezone, interval }
  const phases = phasesFrom(startsAt, versions, schedule, 'created', overrides)
  const faults = overrideFaults(phases, versions)
  if (faults.length > 0) return { kind: 'faultyOverrides', faults }

  const begun: Subscription = {
    tenant,
    id,
    customer: asked.customer,
    state: 'pending',
    startsAt,
    anchorDay,
    timezone,
    cancelAt: null,
    endedAt: null,
    phases,
    pauses: [],
    revision: 1,
    createdAt: systemNow,
    updatedAt: systemNow,
  }
  const created: SubscriptionNotice = {
    event: 'subscription.created',
    at: now,
    detail: { plan, version: String(phases[0]?.version), startsAt: formatInstant(startsAt) },
  }
  const caught = catchUp(begun, now)
  await insertSubscription(transaction, caught.subscription)
  await appendNotices(transaction, caught.subscription, [
    created,
    ...(caught.kind === 'changed' ? caught.notices : []),
  ])
  return { kind: 'created', held: { subscription: caught.subscription, testClockNow } }
}

/** Where the overrides of phases do not go with the plan versions of those phases, the first such phase's faults. */
export function overrideFaults(
  phases: readonly SubscriptionPhase[],
  versions: readonly PlanVersion[],
): readonly PlanFault[] {
  for (const phase of phases) {
    const version = versions.find((one) => one.key === phase.plan && one.version === phase.version)
    if (version === undefined) continue
    const effective = effectivePrices(version, phase.overrides)
    if (effective.kind === 'faulty') return effective.faults
  }
  return []
}
