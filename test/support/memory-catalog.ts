import { isDeepStrictEqual } from 'node:util'
import type { PlanVersion } from '../../src/catalog/plan.ts'
import type { PlanCatalog } from '../../src/catalog/plan-catalog.ts'
import { judgeMeters } from '../../src/catalog/plan-meters.ts'
import { effectivePrices } from '../../src/catalog/price-override.ts'
import type { MeterKey, PlanKey, TenantId } from '../../src/id/ids.ts'
import { type Page, type PageRequest, pageOf } from '../../src/id/page.ts'
import type { Subscription } from '../../src/subscription/subscription.ts'
import { countsTheSame } from '../../src/usage/meter-parse.ts'
import type { MeterRegistry, RegisteredMeter } from '../../src/usage/meter-registry.ts'

/** Items of one tenant in the order of their names, after the last of the page before. */
export function pageIn<T extends { readonly tenant: TenantId }>(
  items: Iterable<T>,
  tenant: TenantId,
  { limit, after }: PageRequest,
  nameOf: (item: T) => string,
): Page<T> {
  const rest = [...items]
    .filter((item) => item.tenant === tenant && (after === null || nameOf(item) > after))
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  return pageOf(rest, limit, nameOf)
}

/** The port's promises in memory: revisions count changes of what is counted. */
export function createMemoryMeters(): MeterRegistry {
  const meters = new Map<string, RegisteredMeter[]>()
  const revisionsOf = (tenant: TenantId, key: MeterKey): RegisteredMeter[] =>
    meters.get(`${tenant} ${key}`) ?? []
  return {
    get: async (tenant, key) => revisionsOf(tenant, key).at(-1) ?? null,
    revision: async (tenant, key, revision) => revisionsOf(tenant, key)[revision - 1]?.meter ?? null,
    list: async (tenant, page) => {
      const newest = [...meters.values()].flatMap((all) => all.slice(-1))
      const { data, next } = pageIn(
        newest.map((one) => ({ ...one, tenant: one.meter.tenant })),
        tenant,
        page,
        (one) => one.meter.key,
      )
      return { data, next }
    },
    put: async (tenant, key, definition, at) => {
      const revisions = revisionsOf(tenant, key)
      const before = revisions.at(-1)
      const same = before !== undefined && countsTheSame(before.meter, definition)
      if (same && before.meter.name === definition.name) return { kind: 'unchanged', ...before }
      const revision = before === undefined ? 1 : before.meter.revision + (same ? 0 : 1)
      const made = {
        meter: { ...definition, tenant, key, revision },
        createdAt: before?.createdAt ?? at,
        updatedAt: at,
      }
      revisions[revision - 1] = made
      meters.set(`${tenant} ${key}`, revisions)
      return { kind: before === undefined ? 'created' : same ? 'renamed' : 'revised', ...made }
    },
  }
}

/** The port's promises in memory, by the same pure judgements; how far a version reaches is only counted. */
export function createMemoryPlans(
  meters: MeterRegistry,
  subscriptions: () => Iterable<Subscription>,
): PlanCatalog {
  const plans = new Map<string, PlanVersion[]>()
  const versionsOf = (tenant: TenantId, key: PlanKey): readonly PlanVersion[] =>
    plans.get(`${tenant} ${key}`) ?? []
  return {
    current: async (tenant, key) => versionsOf(tenant, key).at(-1) ?? null,
    version: async (tenant, key, version) => versionsOf(tenant, key)[version - 1] ?? null,
    versions: async (tenant, key) => versionsOf(tenant, key),
    list: async (tenant, page) =>
      pageIn(
        [...plans.values()].flatMap((all) => all.slice(-1)),
        tenant,
        page,
        (plan) => plan.key,
      ),
    put: async (tenant, key, { definition, effectiveAt, existingSubscriptions }, at) => {
      const before = versionsOf(tenant, key)
      const newest = before.at(-1)
      if (newest !== undefined && isDeepStrictEqual(newest.document, definition.document)) {
        return { kind: 'unchanged', plan: newest }
      }
      const dimensions = new Map<MeterKey, readonly string[]>()
      for (const { meter } of definition.prices) {
        const found = meter === null ? null : await meters.get(tenant, meter)
        if (meter !== null && found !== null) dimensions.set(meter, Object.keys(found.meter.groupBy))
      }
      const faults = judgeMeters(definition, dimensions)
      if (faults.length > 0) return { kind: 'faulty', faults }
      const subscribed = [...subscriptions()].filter(
        (one) => one.tenant === tenant && one.phases.some((phase) => phase.plan === key),
      )
      if (newest !== undefined && subscribed.length > 0) {
        if (newest.currency !== definition.currency) return { kind: 'fixed', member: 'currency' }
        if (newest.interval !== definition.interval) return { kind: 'fixed', member: 'interval' }
      }
      const reached = existingSubscriptions === 'grandfather' ? [] : subscribed
      for (const { id, phases } of reached) {
        const effective = effectivePrices(definition, phases.at(-1)?.overrides ?? {})
        if (effective.kind === 'faulty') {
          return { kind: 'overridesDoNotFit', subscription: id, faults: effective.faults }
        }
      }
      const plan: PlanVersion = {
        ...definition,
        tenant,
        key,
        version: before.length + 1,
        effectiveAt,
        existingSubscriptions,
        createdAt: at,
      }
      plans.set(`${tenant} ${key}`, [...before, plan])
      return {
        kind: newest === undefined ? 'created' : 'versioned',
        plan,
        subscriptionsReached: reached.length,
      }
    },
  }
}
