import pLimit from 'p-limit'
import type { CustomerKey, TenantId } from '../id/ids.ts'
import type { Account } from './close.ts'
import type { InvoicingDeps } from './invoicing.ts'

/** Customers that are read at the same time; below the connections of the pool. */
const READERS_MAX = 4

export type AccountRead =
  { readonly kind: 'read'; readonly account: Account } | { readonly kind: 'failed'; readonly error: unknown }

/** Each customer by itself, so that one that cannot be read does not hide the others. One that is not there is left out. */
export async function readAccounts(
  { directory, store }: Pick<InvoicingDeps, 'directory' | 'store'>,
  tenant: TenantId,
  customers: readonly CustomerKey[],
): Promise<ReadonlyMap<CustomerKey, AccountRead>> {
  const ledgers = await store.ledgers(tenant, customers)
  const accounts = new Map<CustomerKey, AccountRead>()
  const readers = pLimit(READERS_MAX)
  const read = async (key: CustomerKey): Promise<void> => {
    const ledger = ledgers.get(key)
    try {
      const customer = await directory.customer(tenant, key)
      if (customer === null || ledger === undefined) return
      const subscriptions = await directory.subscriptions(tenant, key)
      accounts.set(key, { kind: 'read', account: { customer, ledger, subscriptions } })
    } catch (error) {
      accounts.set(key, { kind: 'failed', error })
    }
  }
  await Promise.all(customers.map((key) => readers(() => read(key))))
  return accounts
}
