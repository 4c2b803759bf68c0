import type { CustomerKey, SubjectId, TenantId, TestClockId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import type { JsonSchema } from './event-schema.ts'
import type { Meter } from './meter.ts'
import type { OtlpMapping } from './otlp-mapping.ts'

/**
 * What the event path must know of the control plane, as state, not as steps: published on
 * `directory.state.v1` and loaded whole at start. Of two changes to one thing the higher `version` wins,
 * so order and repetition do not matter.
 */
export type DirectoryChange =
  | { readonly kind: 'meter'; readonly version: number; readonly meter: Meter }
  | {
      readonly kind: 'customer'
      readonly version: number
      readonly tenant: TenantId
      readonly customer: CustomerKey
      readonly subjects: readonly SubjectId[]
      readonly testClock: TestClockId | null
    }
  | {
      readonly kind: 'testClock'
      readonly version: number
      readonly tenant: TenantId
      readonly testClock: TestClockId
      readonly now: Instant
    }
  | EventSchemaChange
  | OtlpMappingChange

/** What `data` of an event type must look like from now on. */
export interface EventSchemaChange {
  readonly kind: 'eventSchema'
  readonly version: number
  readonly tenant: TenantId
  readonly type: string
  /** Null: no schema any more. */
  readonly schema: JsonSchema | null
}

/** How sums of an OpenTelemetry metric become events from now on. */
export interface OtlpMappingChange {
  readonly kind: 'otlpMapping'
  readonly version: number
  readonly tenant: TenantId
  readonly key: string
  /** Null: not any more. */
  readonly mapping: OtlpMapping | null
}
