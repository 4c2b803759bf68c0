import type { PlanCatalog } from '../../src/catalog/plan-catalog.ts'
import { effectivePrices } from '../../src/catalog/price-override.ts'
import type { Customer } from '../../src/customer/customer.ts'
import type { CustomerKey, SubscriptionId, TenantId } from '../../src/id/ids.ts'
import { goesWith, phasesFrom, versionAt } from '../../src/subscription/phases.ts'
import { presentPhase, scheduleOf, type Subscription } from '../../src/subscription/subscription.ts'
import type {
  ChangePlanOutcome,
  ChangeSubscriptionOutcome,
  EffectiveTime,
  HeldSubscription,
  SubscriptionBook,
} from '../../src/subscription/subscription-book.ts'
import {
  cancelNow,
  catchUp,
  type Change,
  changePlan,
  pause,
  resume,
  scheduleCancel,
  type SubscriptionNotice,
  unscheduleCancel,
} from '../../src/subscription/transitions.ts'
import { anchorDayMax, defaultAnchorDay, periodAt } from '../../src/time/billing-period.ts'
import type { Instant } from '../../src/time/instant.ts'
import { pageIn } from './memory-catalog.ts'

type Refusal = Exclude<ChangePlanOutcome, { readonly held: unknown } | { readonly kind: 'unknown' }>

interface MemorySubscriptionsDeps {
  readonly customerOf: (tenant: TenantId, key: CustomerKey) => Promise<Customer | null>
  readonly plans: PlanCatalog
  /** Null: the customer lives by the system's clock. */
  readonly testClockNow: (tenant: TenantId, customer: CustomerKey) => Promise<Instant | null>
}

export interface MemorySubscriptions extends SubscriptionBook {
  all(): readonly Subscription[]
}

/** The book's promises in memory, by the same pure transitions and phases. */
export function createMemorySubscriptions(deps: MemorySubscriptionsDeps): MemorySubscriptions {
  const { plans, customerOf, testClockNow } = deps
  const book = new Map<SubscriptionId, Subscription>()
  const told = new Map<SubscriptionId, SubscriptionNotice[]>()

  async function held(subscription: Subscription): Promise<HeldSubscription> {
    return { subscription, testClockNow: await testClockNow(subscription.tenant, subscription.customer) }
  }
  function keep(change: Change): Subscription {
    const { subscription } = change
    book.set(subscription.id, subscription)
    if (change.kind === 'changed') {
      told.set(subscription.id, [...(told.get(subscription.id) ?? []), ...change.notices])
    }
    return subscription
  }
  async function intervalOf(subscription: Subscription, now: Instant) {
    const { plan, version } = presentPhase(subscription, now)
    const found = await plans.version(subscription.tenant, plan, version)
    if (found === null) throw new Error(`no ${plan} version ${version}`)
    return found
  }
  async function instantOf(subscription: Subscription, at: EffectiveTime, now: Instant): Promise<Instant> {
    if (at === 'now') return now
    if (at !== 'periodEnd') return at
    const { interval } = await intervalOf(subscription, now)
    return periodAt(scheduleOf(subscription, interval), now).end
  }
  async function settle<R extends Refusal>(
    tenant: TenantId,
    id: SubscriptionId,
    systemNow: Instant,
    judge: (current: Subscription, now: Instant) => Promise<Change | R>,
  ): Promise<R | ChangeSubscriptionOutcome> {
    const found = book.get(id)
    if (found?.tenant !== tenant) return { kind: 'unknown' }
    const now = (await testClockNow(tenant, found.customer)) ?? systemNow
    const outcome = await judge(keep(catchUp(found, now)), now)
    if (!('subscription' in outcome)) return outcome
    return { kind: outcome.kind, held: await held(keep(outcome)) }
  }

  return {
    all: () => [...book.values()],
    async get(tenant, id) {
      const found = book.get(id)
      return found?.tenant === tenant ? held(found) : null
    },
    ofCustomer: async (tenant, customer) =>
      [...book.values()].filter((one) => one.tenant === tenant && one.customer === customer),
    async list(tenant, page, { customer, plan }) {
      const wanted = [...book.values()].filter(
        (one) =>
          (customer === undefined || one.customer === customer) &&
          (plan === undefined || one.phases.some((phase) => phase.plan === plan)),
      )
      const { data, next } = pageIn(wanted, tenant, page, (one) => one.id)
      return { data: await Promise.all(data.map(held)), next }
    },
    history: async (_, id) => told.get(id) ?? [],
    async create({ tenant, id, customer: key, plan, startsAt: asked, anchorDay: day, overrides }, systemNow) {
      const before = book.get(id)
      if (before !== undefined) return { kind: 'created', held: await held(before) }
      const customer = await customerOf(tenant, key)
      if (customer === null) return { kind: 'unknownCustomer' }
      const versions = await plans.versions(tenant, plan)
      if (versions.length === 0) return { kind: 'unknownPlan' }
      const now = (await testClockNow(tenant, key)) ?? systemNow
      const startsAt = asked ?? now
      const version = versionAt(versions, startsAt)
      if (version.currency !== customer.currency) {
        return { kind: 'currencyDiffers', customer: customer.currency, plan: version.currency }
      }
      const { timezone } = customer
      const { interval } = version
      const anchorDay = day ?? defaultAnchorDay(startsAt, interval, timezone)
      if (anchorDay > anchorDayMax(interval)) {
        return { kind: 'anchorOutOfRange', anchorDayMax: anchorDayMax(interval) }
      }
      const effective = effectivePrices(version, overrides)
      if (effective.kind === 'faulty') return { kind: 'faultyOverrides', faults: effective.faults }
      const schedule = { startsAt, anchorDay, timezone, interval }
      const begun: Subscription = {
        tenant,
        id,
        customer: key,
        state: 'pending',
        startsAt,
        anchorDay,
        timezone,
        cancelAt: null,
        endedAt: null,
        phases: phasesFrom(startsAt, versions, schedule, 'created', overrides),
        pauses: [],
        revision: 1,
        createdAt: systemNow,
        updatedAt: systemNow,
      }
      told.set(id, [{ event: 'subscription.created', at: now, detail: { plan } }])
      return { kind: 'created', held: await held(keep(catchUp(begun, now))) }
    },
    command: (tenant, id, command, systemNow) =>
      settle<Extract<Refusal, { kind: 'notInFuture' }>>(tenant, id, systemNow, async (current, now) => {
        switch (command.kind) {
          case 'cancel': {
            if (command.at === 'now') return cancelNow(current, now, command.reason)
            const at = await instantOf(current, command.at, now)
            return at > now ? scheduleCancel(current, at, now, command.reason) : { kind: 'notInFuture', now }
          }
          case 'uncancel':
            return unscheduleCancel(current, now)
          case 'pause':
            return command.resumeAt !== null && command.resumeAt <= now
              ? { kind: 'notInFuture', now }
              : pause(current, now, command.resumeAt)
          case 'resume':
            return resume(current, now)
        }
      }),
    changePlan: (tenant, id, { plan, at: effective, overrides }, systemNow) =>
      settle<Refusal>(tenant, id, systemNow, async (current, now) => {
        const at = await instantOf(current, effective, now)
        if (at < now || (at === now && effective !== 'now')) return { kind: 'notInFuture', now }
        const versions = await plans.versions(tenant, plan)
        if (versions.length === 0) return { kind: 'unknownPlan' }
        const next = versionAt(versions, at)
        const present = await intervalOf(current, now)
        if (!goesWith(present, next)) {
          return present.currency === next.currency
            ? { kind: 'intervalDiffers', from: present.interval, to: next.interval }
            : { kind: 'currencyDiffers', customer: present.currency, plan: next.currency }
        }
        const checked = effectivePrices(next, overrides)
        if (checked.kind === 'faulty') return { kind: 'faultyOverrides', faults: checked.faults }
        const schedule = scheduleOf(current, next.interval)
        return changePlan(current, phasesFrom(at, versions, schedule, 'change', overrides), now)
      }),
    runDue: async () => 0,
  }
}
