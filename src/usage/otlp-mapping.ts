import type { TenantId } from '../id/ids.ts'
import type { Page, PageRequest } from '../id/page.ts'
import type { Instant } from '../time/instant.ts'

/** How the sums of one OpenTelemetry metric become usage events. Attributes are those of the data point, else of its scope, else of its resource. */
export interface OtlpMapping {
  /** Name of the metric. */
  readonly metric: string
  readonly eventType: string
  /** Property that gets the data point's value. */
  readonly valueProperty: string
  /** Attribute that says who used. */
  readonly subjectAttribute: string
  /** Property → attribute. */
  readonly properties: Readonly<Record<string, string>>
}

export interface RegisteredOtlpMapping {
  readonly key: string
  readonly mapping: OtlpMapping
  readonly createdAt: Instant
  readonly updatedAt: Instant
}

export interface OtlpMappingRegistry {
  get(tenant: TenantId, key: string): Promise<RegisteredOtlpMapping | null>
  list(tenant: TenantId, page: PageRequest): Promise<Page<RegisteredOtlpMapping>>
  put(
    tenant: TenantId,
    key: string,
    mapping: OtlpMapping,
    at: Instant,
  ): Promise<
    | { readonly kind: 'put'; readonly registered: RegisteredOtlpMapping }
    | { readonly kind: 'tooMany'; readonly most: number }
  >
  /** False where there was none. */
  remove(tenant: TenantId, key: string): Promise<boolean>
}

export const OTLP_MAPPINGS_PER_TENANT_MAX = 200
