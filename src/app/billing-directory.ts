import type { PlanVersion } from '../catalog/plan.ts'
import { effectivePrices } from '../catalog/price-override.ts'
import type { Attribution, BillingDetails, Customer } from '../customer/customer.ts'
import type { CustomerKey, MeterKey, PlanKey, TenantId } from '../id/ids.ts'
import type {
  BillableCustomer,
  BillablePhase,
  BillablePlan,
  BillableSubscription,
} from '../invoice/billable.ts'
import type { BillingDirectory } from '../invoice/ports.ts'
import { decimal } from '../money/decimal.ts'
import { serviceEnd, type Subscription, type SubscriptionPhase } from '../subscription/subscription.ts'
import type { Instant } from '../time/instant.ts'
import type { Meter } from '../usage/meter.ts'

export interface BillingSources {
  readonly customers: {
    get(tenant: TenantId, key: CustomerKey): Promise<Customer | null>
    attributions(tenant: TenantId, key: CustomerKey): Promise<readonly Attribution[]>
  }
  readonly subscriptions: {
    ofCustomer(tenant: TenantId, customer: CustomerKey): Promise<readonly Subscription[]>
  }
  readonly plans: { version(tenant: TenantId, key: PlanKey, version: number): Promise<PlanVersion | null> }
  readonly meters: {
    get(tenant: TenantId, key: MeterKey): Promise<Meter | null>
    revision(tenant: TenantId, key: MeterKey, revision: number): Promise<Meter | null>
  }
}

/** The control plane as invoicing sees it: plans with the subscription's own prices, phases without pauses. */
export function createBillingDirectory(sources: BillingSources): BillingDirectory {
  const { customers, subscriptions, plans, meters } = sources
  return {
    async customer(tenant, key) {
      const customer = await customers.get(tenant, key)
      if (customer === null) return null
      return billableCustomer(customer, await customers.attributions(tenant, key))
    },

    async subscriptions(tenant, customer) {
      const held = await subscriptions.ofCustomer(tenant, customer)
      return Promise.all(
        held.map(async (subscription): Promise<BillableSubscription> => {
          const { id, startsAt, anchorDay, timezone } = subscription
          const phases = await Promise.all(
            spansInForce(subscription).map(async ({ phase, start, end }): Promise<BillablePhase> => {
              return { start, end, plan: await planOf(subscription, phase) }
            }),
          )
          return { id, startsAt, anchorDay, timezone, phases }
        }),
      )
    },

    meter: (tenant, meter, revision) =>
      revision === null ? meters.get(tenant, meter) : meters.revision(tenant, meter, revision),
  }

  async function planOf({ tenant, id }: Subscription, phase: SubscriptionPhase): Promise<BillablePlan> {
    const { plan: key, version, overrides } = phase
    const plan = await plans.version(tenant, key, version)
    if (plan === null) throw new Error(`${id} is on ${key} version ${version}, which is not there`)
    const effective = effectivePrices(plan, overrides)
    if (effective.kind === 'faulty') {
      const faults = effective.faults.map((fault) => `${fault.pointer}: ${fault.detail}`).join('; ')
      throw new Error(`the overrides of ${id} do not fit ${key} version ${version}: ${faults}`)
    }
    const { name, currency, interval, corrections, minimum, maximum } = plan
    const { prices } = effective
    return { key, version, name, currency, interval, corrections, minimum, maximum, prices }
  }
}

function billableCustomer(customer: Customer, subjects: readonly Attribution[]): BillableCustomer {
  const { billing } = customer
  return {
    tenant: customer.tenant,
    key: customer.key,
    billTo: {
      name: billing.legalName ?? customer.name,
      addressLines: addressLines(billing),
      taxId: billing.taxId ?? null,
      email: billing.email ?? null,
    },
    currency: customer.currency,
    timezone: customer.timezone,
    subjects,
    taxRates: (billing.taxRates ?? []).map(({ name, rate }) => ({ name, rate: decimal(rate) })),
    paymentTermsDays: billing.paymentTermsDays ?? null,
    purchaseOrder: billing.purchaseOrder ?? null,
    country: billing.address?.country ?? null,
  }
}

function addressLines({ address }: BillingDetails): readonly string[] {
  if (address === undefined) return []
  const town = [address.postalCode, address.city, address.region]
    .filter((part) => part !== undefined)
    .join(' ')
  return [address.line1, address.line2, town, address.country].filter(
    (line): line is string => line !== undefined && line !== '',
  )
}

interface Span {
  readonly phase: SubscriptionPhase
  readonly start: Instant
  readonly end: Instant | null
}

/** The phases up to the end of service, with the pauses cut out. */
function spansInForce(subscription: Subscription): readonly Span[] {
  const end = serviceEnd(subscription)
  const spans: Span[] = []
  for (const [i, phase] of subscription.phases.entries()) {
    const until = earlier(subscription.phases[i + 1]?.start ?? null, end)
    let from: Instant = phase.start
    for (const pause of subscription.pauses) {
      if (pause.end !== null && pause.end <= from) continue
      if (until !== null && pause.start >= until) break
      if (pause.start > from) spans.push({ phase, start: from, end: pause.start })
      if (pause.end === null) return spans
      from = pause.end
    }
    if (until === null || from < until) spans.push({ phase, start: from, end: until })
  }
  return spans
}

function earlier(a: Instant | null, b: Instant | null): Instant | null {
  if (a === null) return b
  if (b === null) return a
  return a < b ? a : b
}
