import type { Transaction } from 'kysely'
import type { SubscriptionId, TenantId } from '../id/ids.ts'
import { goesWith, phasesFrom, versionAt } from '../subscription/phases.ts'
import { presentPhase, scheduleOf, type Subscription } from '../subscription/subscription.ts'
import type {
  ChangePlanOutcome,
  CommandOutcome,
  EffectiveTime,
  HeldSubscription,
  PlanChange,
  SubscriptionCommand,
} from '../subscription/subscription-book.ts'
import {
  cancelNow,
  catchUp,
  type Change,
  changePlan,
  pause,
  resume,
  scheduleCancel,
  unscheduleCancel,
} from '../subscription/transitions.ts'
import { periodAt } from '../time/billing-period.ts'
import type { Instant } from '../time/instant.ts'
import { lockPlan, planVersions } from './plans.ts'
import type { Schema } from './schema.ts'
import { overrideFaults } from './subscription-create.ts'
import { type LockedSubscription, lockSubscription } from './subscription-locks.ts'
import { appendNotices, replaceSubscription } from './subscription-rows.ts'

/** Cancels, pauses, resumes: after whatever the calendar has done first, at the customer's now. */
export async function commandSubscription(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  id: SubscriptionId,
  command: SubscriptionCommand,
  systemNow: Instant,
): Promise<CommandOutcome> {
  const locked = await lockSubscription(transaction, tenant, id, systemNow)
  if (locked === null) return { kind: 'unknown' }
  return settle(transaction, locked, systemNow, (current) => judge(transaction, current, command, locked.now))
}

/** Puts another plan, or other overrides, in force. What was scheduled for later is superseded. */
export async function changeSubscriptionPlan(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  id: SubscriptionId,
  change: PlanChange,
  systemNow: Instant,
): Promise<ChangePlanOutcome> {
  await lockPlan(transaction, tenant, change.plan)
  const locked = await lockSubscription(transaction, tenant, id, systemNow)
  if (locked === null) return { kind: 'unknown' }
  return settle(transaction, locked, systemNow, (current) =>
    judgePlanChange(transaction, current, change, locked.now),
  )
}

/** What the calendar has done by now, and nothing else. @returns whether it has done anything */
export async function settleCalendar(
  transaction: Transaction<Schema>,
  locked: LockedSubscription,
  systemNow: Instant,
): Promise<boolean> {
  const outcome = await settle<never>(transaction, locked, systemNow, async (subscription) => ({
    kind: 'unchanged',
    subscription,
  }))
  return outcome.held.subscription.revision !== locked.subscription.revision
}

type Settled<Refusal> = Refusal | { readonly kind: Change['kind']; readonly held: HeldSubscription }

/**
 * Catches up with the calendar, lets the command be judged, and writes both as one revision. What the calendar did
 * stays, whatever becomes of the command.
 */
async function settle<Refusal extends { readonly kind: string }>(
  transaction: Transaction<Schema>,
  { subscription: before, testClockNow, now }: LockedSubscription,
  systemNow: Instant,
  judged: (current: Subscription) => Promise<Change | Refusal>,
): Promise<Settled<Refusal>> {
  const caught = catchUp(before, now)
  const outcome = await judged(caught.subscription)
  const change = 'subscription' in outcome ? outcome : null
  const notices = [caught, change].flatMap((one) => (one?.kind === 'changed' ? one.notices : []))
  let after = change?.subscription ?? caught.subscription
  if (notices.length > 0) {
    after = { ...after, revision: before.revision + 1, updatedAt: systemNow }
    await replaceSubscription(transaction, before, after)
    await appendNotices(transaction, after, notices)
  }
  return 'subscription' in outcome
    ? { kind: outcome.kind, held: { subscription: after, testClockNow } }
    : outcome
}

type NotInFuture = Extract<CommandOutcome, { kind: 'notInFuture' }>

async function judge(
  transaction: Transaction<Schema>,
  current: Subscription,
  command: SubscriptionCommand,
  now: Instant,
): Promise<Change | NotInFuture> {
  switch (command.kind) {
    case 'cancel': {
      if (command.at === 'now') return cancelNow(current, now, command.reason)
      const at = await effectiveInstant(transaction, current, command.at, now)
      return at > now ? scheduleCancel(current, at, now, command.reason) : { kind: 'notInFuture', now }
    }
    case 'uncancel':
      return unscheduleCancel(current, now)
    case 'pause':
      if (command.resumeAt !== null && command.resumeAt <= now) return { kind: 'notInFuture', now }
      return pause(current, now, command.resumeAt)
    case 'resume':
      return resume(current, now)
  }
}

async function judgePlanChange(
  transaction: Transaction<Schema>,
  current: Subscription,
  { plan, at: effective, overrides }: PlanChange,
  now: Instant,
): Promise<Change | Exclude<ChangePlanOutcome, { kind: 'changed' | 'unchanged' | 'illegal' | 'unknown' }>> {
  const at = await effectiveInstant(transaction, current, effective, now)
  if (at < now || (at === now && effective !== 'now')) return { kind: 'notInFuture', now }
  const versions = await planVersions(transaction, current.tenant, plan)
  if (versions.length === 0) return { kind: 'unknownPlan' }
  const next = versionAt(versions, at)
  const present = await soldAs(transaction, current, now)
  if (!goesWith(present, next)) {
    return present.currency === next.currency
      ? { kind: 'intervalDiffers', from: present.interval, to: next.interval }
      : { kind: 'currencyDiffers', customer: present.currency, plan: next.currency }
  }
  const schedule = scheduleOf(current, next.interval)
  const phases = phasesFrom(at, versions, schedule, 'change', overrides)
  const faults = overrideFaults(phases, versions)
  if (faults.length > 0) return { kind: 'faultyOverrides', faults }
  return changePlan(current, phases, now)
}

/** `periodEnd` is the end of the billing period that holds the customer's now. */
async function effectiveInstant(
  transaction: Transaction<Schema>,
  subscription: Subscription,
  at: EffectiveTime,
  now: Instant,
): Promise<Instant> {
  if (at === 'now') return now
  if (at !== 'periodEnd') return at
  const { interval } = await soldAs(transaction, subscription, now)
  return periodAt(scheduleOf(subscription, interval), now).end
}

/** Currency and interval of the plan that the subscription is on; neither ever changes for it. */
async function soldAs(transaction: Transaction<Schema>, subscription: Subscription, now: Instant) {
  const { plan, version } = presentPhase(subscription, now)
  const versions = await planVersions(transaction, subscription.tenant, plan)
  const found = versions.find((one) => one.version === version)
  if (found === undefined)
    throw new Error(`${subscription.id} is on ${plan} version ${version}, which is not there`)
  const { currency, interval } = found
  return { currency, interval }
}
