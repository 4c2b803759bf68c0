import { formatInstant, type Instant } from '../time/instant.ts'
import { type SubscriptionEvent, type SubscriptionTrigger, transition } from './lifecycle.ts'
import { samePhases, withChange } from './phases.ts'
import type { Subscription, SubscriptionPause, SubscriptionPhase } from './subscription.ts'

/** Something that happened to a subscription, as it is told and kept. */
export interface SubscriptionNotice {
  readonly event: 'subscription.created' | SubscriptionEvent
  /** When it took effect, by the customer's clock. */
  readonly at: Instant
  readonly detail: Readonly<Record<string, string>>
}

export type Change =
  | {
      readonly kind: 'changed'
      readonly subscription: Subscription
      readonly notices: readonly SubscriptionNotice[]
    }
  /** It is so already; nothing is told. */
  | { readonly kind: 'unchanged'; readonly subscription: Subscription }
  /** The state does not allow it. */
  | { readonly kind: 'illegal'; readonly subscription: Subscription }

/** The next thing that the calendar does to a subscription; null when nothing. */
export function nextDue(
  subscription: Pick<Subscription, 'state' | 'startsAt' | 'cancelAt' | 'pauses'>,
): { readonly at: Instant; readonly trigger: SubscriptionTrigger } | null {
  const { state, startsAt, cancelAt, pauses } = subscription
  const cancel = cancelAt === null ? null : { at: cancelAt, trigger: 'cancel' as const }
  switch (state) {
    case 'canceled':
    case 'ended':
    case 'incompleteExpired':
      return null
    case 'pending':
      return { at: startsAt, trigger: 'start' }
    case 'incomplete':
    case 'trialing':
    case 'active':
    case 'pastDue':
      return cancel
    case 'paused': {
      const end = pauses.at(-1)?.end ?? null
      if (end === null || (cancel !== null && cancel.at <= end)) return cancel
      return { at: end, trigger: 'resume' }
    }
  }
}

/** Everything that the calendar has done up to `now`, each step at its own time, however late it is asked. */
export function catchUp(subscription: Subscription, now: Instant): Change {
  let current = subscription
  const notices: SubscriptionNotice[] = []
  for (let due = nextDue(current); due !== null && due.at <= now; due = nextDue(current)) {
    const step = apply(current, due.trigger, due.at)
    if (step.kind !== 'changed') throw new Error(`${due.trigger} is due in the state ${current.state}`)
    current = step.subscription
    notices.push(...step.notices)
  }
  return notices.length === 0
    ? { kind: 'unchanged', subscription }
    : { kind: 'changed', subscription: current, notices }
}

/** Ends it at once. What never began ends where it would have begun: nothing of it is charged. */
export function cancelNow(subscription: Subscription, now: Instant, reason: string | null): Change {
  return apply(subscription, 'cancel', now, reason === null ? {} : { reason })
}

/** Ends it at an instant after `now`. */
export function scheduleCancel(
  subscription: Subscription,
  at: Instant,
  now: Instant,
  reason: string | null,
): Change {
  const step = apply(subscription, 'scheduleCancel', now, {
    cancelAt: formatInstant(at),
    ...(reason === null ? {} : { reason }),
  })
  if (step.kind !== 'changed') return step
  if (subscription.cancelAt === at) return { kind: 'unchanged', subscription }
  return { ...step, subscription: { ...step.subscription, cancelAt: at } }
}

/** Takes a scheduled end back. */
export function unscheduleCancel(subscription: Subscription, now: Instant): Change {
  const step = apply(subscription, 'unscheduleCancel', now)
  if (step.kind !== 'changed') return step
  if (subscription.cancelAt === null) return { kind: 'unchanged', subscription }
  return { ...step, subscription: { ...step.subscription, cancelAt: null } }
}

/** Charges nothing from now on, until it is resumed or `resumeAt`. */
export function pause(subscription: Subscription, now: Instant, resumeAt: Instant | null): Change {
  const step = apply(subscription, 'pause', now)
  if (step.kind !== 'changed') return step
  const pauses = [...step.subscription.pauses, { start: now, end: resumeAt }]
  return { ...step, subscription: { ...step.subscription, pauses } }
}

export function resume(subscription: Subscription, now: Instant): Change {
  return apply(subscription, 'resume', now)
}

/**
 * Puts the phases of another plan, or of other overrides, in force from the first of them on. It supersedes what was
 * scheduled for later. A change that would begin when the subscription has ended is illegal: it would never be seen.
 * @param phases as `phasesFrom` makes them, the first at `now` or later
 */
export function changePlan(
  subscription: Subscription,
  phases: readonly SubscriptionPhase[],
  now: Instant,
): Change {
  const [first] = phases
  if (first === undefined) throw new Error('a change of plans without a phase')
  const step = apply(subscription, 'change', now, {
    plan: first.plan,
    version: String(first.version),
    effectiveAt: formatInstant(first.start),
  })
  if (step.kind !== 'changed') return step
  const { cancelAt } = subscription
  if (cancelAt !== null && first.start >= cancelAt) return { kind: 'illegal', subscription }
  const after = withChange(subscription.phases, phases)
  if (samePhases(subscription.phases, after)) return { kind: 'unchanged', subscription }
  return { ...step, subscription: { ...step.subscription, phases: after } }
}

/** The bare transition and what always goes with it. */
function apply(
  subscription: Subscription,
  trigger: SubscriptionTrigger,
  at: Instant,
  detail: Readonly<Record<string, string>> = {},
): Change {
  const step = transition(subscription.state, trigger)
  if (step.kind === 'illegal') return { kind: 'illegal', subscription }
  const moved: Subscription = { ...subscription, state: step.state }
  return {
    kind: 'changed',
    subscription: withConsequences(moved, trigger, at),
    notices: [{ event: step.event, at, detail }],
  }
}

function withConsequences(
  subscription: Subscription,
  trigger: SubscriptionTrigger,
  at: Instant,
): Subscription {
  switch (trigger) {
    case 'cancel':
    case 'endTerm': {
      const endedAt = at > subscription.startsAt ? at : subscription.startsAt
      return { ...subscription, endedAt, cancelAt: null, pauses: closed(subscription.pauses, endedAt) }
    }
    case 'resume':
      return { ...subscription, pauses: closed(subscription.pauses, at) }
    default:
      return subscription
  }
}

/** The last pause ends at the instant where it would go on beyond it; one that is over as it begins never was. */
function closed(pauses: readonly SubscriptionPause[], at: Instant): readonly SubscriptionPause[] {
  const last = pauses.at(-1)
  if (last === undefined || (last.end !== null && last.end <= at)) return pauses
  const before = pauses.slice(0, -1)
  return last.start >= at ? before : [...before, { start: last.start, end: at }]
}
