import type { PriceOverrides } from '../catalog/price-override.ts'
import type { CustomerKey, PlanKey, SubscriptionId, TenantId } from '../id/ids.ts'
import type { BillingInterval, BillingSchedule } from '../time/billing-period.ts'
import type { Instant } from '../time/instant.ts'
import type { SubscriptionState } from './lifecycle.ts'

/** From `start` to the start of the next phase, one version of one plan is in force. */
export interface SubscriptionPhase {
  readonly start: Instant
  readonly plan: PlanKey
  readonly version: number
  /** Why it begins: the subscription did, the plan has a new version, or the customer changed plans. */
  readonly reason: 'created' | 'planVersion' | 'change'
  /** What the customer pays instead of the plan's prices. */
  readonly overrides: PriceOverrides
}

/** Nothing is charged for a pause; null is open. */
export interface SubscriptionPause {
  readonly start: Instant
  readonly end: Instant | null
}

/** A customer on a plan over time. */
export interface Subscription {
  readonly tenant: TenantId
  readonly id: SubscriptionId
  readonly customer: CustomerKey
  readonly state: SubscriptionState
  readonly startsAt: Instant
  /** Day of the month 1..31; weekday 1..7 of a weekly plan; 1 of a daily one. */
  readonly anchorDay: number
  /** The customer's zone when it subscribed: billing periods are cut in it, whatever the customer's becomes. */
  readonly timezone: string
  /** When it will be canceled; null is not scheduled. */
  readonly cancelAt: Instant | null
  /** When it was canceled or ended; the instant itself is not part of it any more. */
  readonly endedAt: Instant | null
  /** By start, never empty; the first starts at `startsAt`. */
  readonly phases: readonly SubscriptionPhase[]
  /** By start; they do not overlap. */
  readonly pauses: readonly SubscriptionPause[]
  /** Counts changes of anything above. */
  readonly revision: number
  readonly createdAt: Instant
  readonly updatedAt: Instant
}

/** The phase in force at an instant; null before the first and after the end. */
export function phaseAt(subscription: Subscription, at: Instant): SubscriptionPhase | null {
  const { endedAt } = subscription
  if (endedAt !== null && at >= endedAt) return null
  return subscription.phases.findLast((phase) => phase.start <= at) ?? null
}

/** The phase to show for a subscription as it is: the one in force, the first before it, the last after it. */
export function presentPhase(subscription: Subscription, now: Instant): SubscriptionPhase {
  const phase = subscription.phases.findLast((one) => one.start <= now) ?? subscription.phases[0]
  if (phase === undefined) throw new Error(`the subscription ${subscription.id} has no phase`)
  return phase
}

/** Until when it is to be charged for, as things stand; null is open. */
export function serviceEnd(subscription: Pick<Subscription, 'cancelAt' | 'endedAt'>): Instant | null {
  return subscription.endedAt ?? subscription.cancelAt
}

/** What billing periods follow from; the interval is that of the plans, which a subscription never changes. */
export function scheduleOf(
  subscription: Pick<Subscription, 'startsAt' | 'anchorDay' | 'timezone'>,
  interval: BillingInterval,
): BillingSchedule {
  const { startsAt, anchorDay, timezone } = subscription
  return { startsAt, anchorDay, timezone, interval }
}
