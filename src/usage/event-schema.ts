import type { Page, PageRequest } from '../id/page.ts'
import type { TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'

/** JSON Schema 2020-12 of `data`, for the events of one type. */
export type JsonSchema = Readonly<Record<string, unknown>>

export interface RegisteredEventSchema {
  readonly type: string
  readonly schema: JsonSchema
  /** Counts changes, from 1. */
  readonly revision: number
  readonly createdAt: Instant
  readonly updatedAt: Instant
}

export type PutEventSchemaOutcome =
  | { readonly kind: 'created' | 'revised' | 'unchanged'; readonly registered: RegisteredEventSchema }
  /** The tenant has as many as it may have. */
  | { readonly kind: 'tooMany'; readonly most: number }

/** Where a tenant keeps the schemas of its event types. What is checked before: `src/ingest/event-schema-check.ts`. */
export interface EventSchemaRegistry {
  get(tenant: TenantId, type: string): Promise<RegisteredEventSchema | null>
  /** By type. */
  list(tenant: TenantId, page: PageRequest): Promise<Page<RegisteredEventSchema>>
  put(tenant: TenantId, type: string, schema: JsonSchema, at: Instant): Promise<PutEventSchemaOutcome>
  /** False where there was none. */
  remove(tenant: TenantId, type: string): Promise<boolean>
}

export const EVENT_SCHEMAS_PER_TENANT_MAX = 1000
