import type { MeterKey, PlanKey, SubscriptionId, TenantId } from '../id/ids.ts'
import type { Page, PageRequest } from '../id/page.ts'
import type { Instant } from '../time/instant.ts'
import type { PlanVersion } from './plan.ts'
import type { PlanDraft, PlanFault } from './plan-parse.ts'

export type PutPlanOutcome =
  | {
      readonly kind: 'created' | 'versioned'
      readonly plan: PlanVersion
      /** Subscriptions that the version will reach. */
      readonly subscriptionsReached: number
    }
  | { readonly kind: 'unchanged'; readonly plan: PlanVersion }
  /** Prices name meters or dimensions that are not there. */
  | { readonly kind: 'faulty'; readonly faults: readonly PlanFault[] }
  /** What a plan is sold in and by cannot change once somebody has subscribed. */
  | { readonly kind: 'fixed'; readonly member: 'currency' | 'interval' }
  /** A subscription that the version would reach has overrides that do not go with it. */
  | {
      readonly kind: 'overridesDoNotFit'
      readonly subscription: SubscriptionId
      readonly faults: readonly PlanFault[]
    }

/** The plans of all tenants, every version of each. */
export interface PlanCatalog {
  /** The newest version. */
  current(tenant: TenantId, key: PlanKey): Promise<PlanVersion | null>
  version(tenant: TenantId, key: PlanKey, version: number): Promise<PlanVersion | null>
  /** Oldest first. */
  versions(tenant: TenantId, key: PlanKey): Promise<readonly PlanVersion[]>
  /** The newest version of each, by key. */
  list(tenant: TenantId, page: PageRequest): Promise<Page<PlanVersion>>
  /** A changed plan makes a new version; the same plan is a no-op. */
  put(tenant: TenantId, key: PlanKey, draft: PlanDraft, at: Instant): Promise<PutPlanOutcome>
}

/** Meters that prices of a plan name, as the catalog needs to know them. */
export type MeterDimensions = ReadonlyMap<MeterKey, readonly string[]>
