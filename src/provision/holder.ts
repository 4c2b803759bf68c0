import type { CustomerKey, SubjectId, TenantId } from '../id/ids.ts'

/**
 * Whose usage a quota limits: one subject, or all subjects of a customer together. A key with a subject draws on
 * the subject's quotas; a key with only a customer on the customer's.
 */
export type Holder =
  | { readonly kind: 'subject'; readonly id: SubjectId }
  | { readonly kind: 'customer'; readonly id: CustomerKey }

/** The holder that a key with this subject and customer draws on; null when it has neither. */
export function holderOf(key: {
  readonly subject: SubjectId | null
  readonly customer: CustomerKey | null
}): Holder | null {
  if (key.subject !== null) return { kind: 'subject', id: key.subject }
  if (key.customer !== null) return { kind: 'customer', id: key.customer }
  return null
}

/** A text that names (tenant, holder) uniquely, for maps. */
export function holderIndex(tenant: TenantId, holder: Holder): string {
  return `${tenant}\0${holder.kind}\0${holder.id}`
}

/** The name of a holder for people: `subject "a"`. */
export function describeHolder(holder: Holder): string {
  return `${holder.kind} "${holder.id}"`
}
