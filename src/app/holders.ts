import type { Customer } from '../customer/customer.ts'
import type { CustomerKey, TenantId } from '../id/ids.ts'
import type { Directory } from '../ingest/directory.ts'
import type { HolderDirectory } from '../provision/ports.ts'
import { phaseAt, type Subscription } from '../subscription/subscription.ts'
import { type BillingInterval, periodAt } from '../time/billing-period.ts'
import type { Clock } from '../time/clock.ts'
import type { Instant, Interval } from '../time/instant.ts'

export interface HolderSources {
  readonly clock: Clock
  readonly directory: Pick<Directory, 'nowFor' | 'nowForCustomer' | 'customerOf'>
  readonly customer: (tenant: TenantId, key: CustomerKey) => Promise<Customer | null>
  readonly subscriptions: (tenant: TenantId, key: CustomerKey) => Promise<readonly Subscription[]>
  readonly intervalOf: (
    tenant: TenantId,
    subscription: Subscription,
    now: Instant,
  ) => Promise<BillingInterval | null>
}

/** A holder's present, from memory: its test clock's where it lives on one. */
export function createHolderTime(
  clock: Clock,
  directory: Pick<Directory, 'nowFor' | 'nowForCustomer'>,
): Pick<HolderDirectory, 'now'> {
  return {
    now: (tenant, holder) => {
      switch (holder?.kind) {
        case 'customer':
          return directory.nowForCustomer(tenant, holder.id)
        case 'subject':
          return directory.nowFor(tenant, holder.id)
        case undefined:
          return clock.now()
      }
    },
  }
}

/** What the gate must know of those whose usage it limits, from the directory in memory and the control plane. */
export function createHolders({
  clock,
  directory,
  customer,
  subscriptions,
  intervalOf,
}: HolderSources): HolderDirectory {
  const { now } = createHolderTime(clock, directory)

  /** Of the subscription that began first among those in force: a customer with several has one billing period. */
  const billingPeriod = async (tenant: TenantId, key: CustomerKey, at: Instant): Promise<Interval | null> => {
    for (const subscription of await subscriptions(tenant, key)) {
      if (phaseAt(subscription, at) === null) continue
      const interval = await intervalOf(tenant, subscription, at)
      if (interval === null) continue
      const { startsAt, anchorDay, timezone } = subscription
      const { start, end } = periodAt({ startsAt, anchorDay, timezone, interval }, at)
      return { start, end }
    }
    return null
  }

  return {
    now,
    customerOf: (tenant, subject) => directory.customerOf(tenant, subject),
    async profile(tenant, holder) {
      const key = holder.kind === 'customer' ? holder.id : directory.customerOf(tenant, holder.id)
      if (key === null) {
        return holder.kind === 'subject'
          ? { customer: null, timezone: 'UTC', subjects: [holder.id], billingPeriod: null }
          : null
      }
      const found = await customer(tenant, key)
      if (found === null) return null
      return {
        customer: key,
        timezone: found.timezone,
        subjects: holder.kind === 'subject' ? [holder.id] : found.subjects,
        billingPeriod: await billingPeriod(tenant, key, now(tenant, holder)),
      }
    },
  }
}
