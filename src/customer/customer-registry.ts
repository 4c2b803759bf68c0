import type { CustomerKey, SubjectId, TenantId, TestClockId } from '../id/ids.ts'
import type { Page, PageRequest } from '../id/page.ts'
import type { Instant } from '../time/instant.ts'
import type { Attribution, Customer, CustomerDefinition } from './customer.ts'

export type PutCustomerOutcome =
  | { readonly kind: 'created' | 'replaced' | 'unchanged'; readonly customer: Customer }
  | { readonly kind: 'unknownTestClock'; readonly testClock: TestClockId }
  /** Another customer pays for the subject at present. */
  | { readonly kind: 'subjectTaken'; readonly subject: SubjectId; readonly by: CustomerKey }
  /** With a subscription, neither the currency nor the clock of a customer can change. */
  | { readonly kind: 'fixed'; readonly member: 'currency' | 'testClock' }

/** The customers of all tenants and who paid for which subject when. */
export interface CustomerRegistry {
  get(tenant: TenantId, key: CustomerKey): Promise<Customer | null>
  /** By key. */
  list(tenant: TenantId, page: PageRequest): Promise<Page<Customer>>
  /** Creates or replaces; what is published goes out with the same commit. @param at the system's now */
  put(
    tenant: TenantId,
    key: CustomerKey,
    definition: CustomerDefinition,
    at: Instant,
  ): Promise<PutCustomerOutcome>
  /** Every subject that ever was the customer's, and when. By subject and start. */
  attributions(tenant: TenantId, key: CustomerKey): Promise<readonly Attribution[]>
}
