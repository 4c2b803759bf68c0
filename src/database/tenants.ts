import type { TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import type { Connection } from './transaction.ts'

/** The tenant of an installation that has one. */
const DEFAULT_TENANT = 'default' as TenantId

/** Makes the tenant `default` at the first start, and answers its id. */
export async function ensureDefaultTenant(db: Connection, now: Instant): Promise<TenantId> {
  await ensureTenant(db, DEFAULT_TENANT, 'Default', now)
  return DEFAULT_TENANT
}

/** Makes a tenant where there is none of that id. */
export async function ensureTenant(db: Connection, id: TenantId, name: string, now: Instant): Promise<void> {
  await db
    .insertInto('tenants')
    .values({ id, name, created_at: new Date(now) })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}
