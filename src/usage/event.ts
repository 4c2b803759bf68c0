import type { SubjectId, TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'

/**
 * One fact of use. `(tenant, source, id)` identifies it; time, subject, type and properties do not take part.
 * Properties are flat: nested objects become dotted paths (`usage.input`), numbers their exact plain decimal
 * text, booleans `true`/`false`, arrays their JSON text; null members are left out.
 */
export interface UsageEvent {
  readonly tenant: TenantId
  readonly source: string
  readonly id: string
  readonly type: string
  readonly subject: SubjectId
  readonly time: Instant
  readonly properties: ReadonlyMap<string, string>
}

/** The event type that voids another event; `target.source` and `target.id` name it. */
export const VOID_TYPE = '__void'
