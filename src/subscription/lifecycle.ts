export const SUBSCRIPTION_STATES = [
  /** Starts in the future. */
  'pending',
  /** Started, but access waits for the first payment. */
  'incomplete',
  'incompleteExpired',
  'trialing',
  'active',
  'pastDue',
  'paused',
  'canceled',
  /** A fixed term is over and was not renewed. */
  'ended',
] as const
export type SubscriptionState = (typeof SUBSCRIPTION_STATES)[number]

export const SUBSCRIPTION_TRIGGERS = [
  'start',
  'startGated',
  'startTrial',
  'firstInvoicePaid',
  'firstInvoiceExpired',
  'endTrial',
  'endTrialUnpaid',
  'fallDue',
  'recover',
  'pause',
  'resume',
  'cancel',
  'scheduleCancel',
  'unscheduleCancel',
  'change',
  'renew',
  'endTerm',
] as const
export type SubscriptionTrigger = (typeof SUBSCRIPTION_TRIGGERS)[number]

/** What is told of a transition. */
export type SubscriptionEvent =
  | 'subscription.activated'
  | 'subscription.incomplete'
  | 'subscription.trial_started'
  | 'subscription.expired'
  | 'subscription.trial_ended'
  | 'subscription.past_due'
  | 'subscription.recovered'
  | 'subscription.paused'
  | 'subscription.resumed'
  | 'subscription.canceled'
  | 'subscription.cancel_scheduled'
  | 'subscription.cancel_unscheduled'
  | 'subscription.changed'
  | 'subscription.renewed'
  | 'subscription.ended'

const EVENTS = {
  start: 'subscription.activated',
  startGated: 'subscription.incomplete',
  startTrial: 'subscription.trial_started',
  firstInvoicePaid: 'subscription.activated',
  firstInvoiceExpired: 'subscription.expired',
  endTrial: 'subscription.trial_ended',
  endTrialUnpaid: 'subscription.trial_ended',
  fallDue: 'subscription.past_due',
  recover: 'subscription.recovered',
  pause: 'subscription.paused',
  resume: 'subscription.resumed',
  cancel: 'subscription.canceled',
  scheduleCancel: 'subscription.cancel_scheduled',
  unscheduleCancel: 'subscription.cancel_unscheduled',
  change: 'subscription.changed',
  renew: 'subscription.renewed',
  endTerm: 'subscription.ended',
} as const satisfies Record<SubscriptionTrigger, SubscriptionEvent>

type Row = Readonly<Partial<Record<SubscriptionTrigger, SubscriptionState>>>

/** Every legal transition; what is not here is refused and tells nothing. */
const NEXT: Readonly<Record<SubscriptionState, Row>> = {
  // A subscription that never started can be called off; else a mistyped start would have to be billed first.
  pending: { start: 'active', startGated: 'incomplete', startTrial: 'trialing', cancel: 'canceled' },
  incomplete: { firstInvoicePaid: 'active', firstInvoiceExpired: 'incompleteExpired' },
  incompleteExpired: {},
  trialing: {
    endTrial: 'active',
    endTrialUnpaid: 'paused',
    pause: 'paused',
    cancel: 'canceled',
    scheduleCancel: 'trialing',
    unscheduleCancel: 'trialing',
    change: 'trialing',
  },
  active: {
    fallDue: 'pastDue',
    pause: 'paused',
    cancel: 'canceled',
    scheduleCancel: 'active',
    unscheduleCancel: 'active',
    change: 'active',
    renew: 'active',
    endTerm: 'ended',
  },
  pastDue: { recover: 'active', cancel: 'canceled', unscheduleCancel: 'pastDue' },
  paused: { resume: 'active', cancel: 'canceled', unscheduleCancel: 'paused' },
  canceled: {},
  ended: {},
}

export type Transition =
  | { readonly kind: 'moved'; readonly state: SubscriptionState; readonly event: SubscriptionEvent }
  | { readonly kind: 'illegal' }

/** What a trigger does in a state. Total: whatever is not a legal transition is `illegal`. */
export function transition(state: SubscriptionState, trigger: SubscriptionTrigger): Transition {
  const next = NEXT[state][trigger]
  return next === undefined ? { kind: 'illegal' } : { kind: 'moved', state: next, event: EVENTS[trigger] }
}
