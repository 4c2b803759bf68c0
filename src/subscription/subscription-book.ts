import type { PlanFault } from '../catalog/plan-parse.ts'
import type { PriceOverrides } from '../catalog/price-override.ts'
import type { CustomerKey, PlanKey, SubscriptionId, TenantId, TestClockId } from '../id/ids.ts'
import type { Page, PageRequest } from '../id/page.ts'
import type { Instant } from '../time/instant.ts'
import type { Subscription } from './subscription.ts'
import type { SubscriptionNotice } from './transitions.ts'

/** A subscription and the present of its customer, where that is a test clock's. */
export interface HeldSubscription {
  readonly subscription: Subscription
  /** Null: the customer lives by the system's clock. */
  readonly testClockNow: Instant | null
}

export interface NewSubscription {
  readonly tenant: TenantId
  readonly id: SubscriptionId
  readonly customer: CustomerKey
  readonly plan: PlanKey
  /** Null: the customer's now. */
  readonly startsAt: Instant | null
  /** Null: the day on which it starts, in the customer's zone. */
  readonly anchorDay: number | null
  readonly overrides: PriceOverrides
}

export type CreateSubscriptionOutcome =
  | { readonly kind: 'created'; readonly held: HeldSubscription }
  | { readonly kind: 'unknownCustomer' }
  | { readonly kind: 'unknownPlan' }
  | { readonly kind: 'currencyDiffers'; readonly customer: string; readonly plan: string }
  | { readonly kind: 'anchorOutOfRange'; readonly anchorDayMax: number }
  | { readonly kind: 'faultyOverrides'; readonly faults: readonly PlanFault[] }

export type ChangeSubscriptionOutcome =
  | { readonly kind: 'changed' | 'unchanged' | 'illegal'; readonly held: HeldSubscription }
  | { readonly kind: 'unknown' }

/** When a command takes effect. */
export type EffectiveTime = 'now' | 'periodEnd' | Instant

export type SubscriptionCommand =
  | { readonly kind: 'cancel'; readonly at: EffectiveTime; readonly reason: string | null }
  | { readonly kind: 'uncancel' }
  | { readonly kind: 'pause'; readonly resumeAt: Instant | null }
  | { readonly kind: 'resume' }

export type CommandOutcome =
  | ChangeSubscriptionOutcome
  /** A time that is not after the customer's present. */
  | { readonly kind: 'notInFuture'; readonly now: Instant }

export type ChangePlanOutcome =
  | CommandOutcome
  | Extract<CreateSubscriptionOutcome, { kind: 'unknownPlan' | 'currencyDiffers' | 'faultyOverrides' }>
  /** Another billing interval would need another anchor: cancel and subscribe anew. */
  | { readonly kind: 'intervalDiffers'; readonly from: string; readonly to: string }

interface SubscriptionFilter {
  readonly customer?: CustomerKey
  readonly plan?: PlanKey
}

export interface PlanChange {
  readonly plan: PlanKey
  readonly at: EffectiveTime
  readonly overrides: PriceOverrides
}

/** The subscriptions of all tenants. `systemNow` is the present of customers that live by the system's clock. */
export interface SubscriptionBook {
  get(tenant: TenantId, id: SubscriptionId): Promise<HeldSubscription | null>
  /** All that the customer ever had, by start. */
  ofCustomer(tenant: TenantId, customer: CustomerKey): Promise<readonly Subscription[]>
  /** By id, which is by age. A plan's are those that are, were or will be on it. */
  list(tenant: TenantId, page: PageRequest, filter: SubscriptionFilter): Promise<Page<HeldSubscription>>
  history(tenant: TenantId, id: SubscriptionId): Promise<readonly SubscriptionNotice[]>
  /** An id that is taken is a repeat: it is answered as it stands. */
  create(subscription: NewSubscription, systemNow: Instant): Promise<CreateSubscriptionOutcome>
  command(
    tenant: TenantId,
    id: SubscriptionId,
    command: SubscriptionCommand,
    systemNow: Instant,
  ): Promise<CommandOutcome>
  changePlan(
    tenant: TenantId,
    id: SubscriptionId,
    change: PlanChange,
    systemNow: Instant,
  ): Promise<ChangePlanOutcome>
  /** Starts, resumes and cancels what the calendar says, and answers how many subscriptions changed. */
  runDue(
    systemNow: Instant,
    scope?: { readonly tenant: TenantId; readonly testClock: TestClockId },
  ): Promise<number>
}
