import type { MeterKey, TenantId } from '../id/ids.ts'
import type { Page, PageRequest } from '../id/page.ts'
import type { Instant } from '../time/instant.ts'
import type { Meter } from './meter.ts'
import type { MeterDefinition } from './meter-parse.ts'

/** A meter as the registry keeps it. */
export interface RegisteredMeter {
  readonly meter: Meter
  readonly createdAt: Instant
  readonly updatedAt: Instant
}

export type PutMeterOutcome = {
  /** `renamed`: the same is counted. `revised`: what is counted has changed. */
  readonly kind: 'created' | 'unchanged' | 'renamed' | 'revised'
} & RegisteredMeter

/** The meters of all tenants, with every revision they ever had. */
export interface MeterRegistry {
  get(tenant: TenantId, key: MeterKey): Promise<RegisteredMeter | null>
  /** The meter as it was at a revision. */
  revision(tenant: TenantId, key: MeterKey, revision: number): Promise<Meter | null>
  /** By key. */
  list(tenant: TenantId, page: PageRequest): Promise<Page<RegisteredMeter>>
  /** Creates or replaces; what is published goes out with the same commit. */
  put(tenant: TenantId, key: MeterKey, definition: MeterDefinition, at: Instant): Promise<PutMeterOutcome>
}
