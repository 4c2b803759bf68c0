import { afterAll, beforeAll } from 'vitest'
import { createGateSnapshot } from '../../src/database/gate-snapshot.ts'
import type { Database } from '../../src/database/database.ts'
import { createKeyStore } from '../../src/database/keys.ts'
import { createQuotaStore } from '../../src/database/quotas.ts'
import type { KeyTopicDocument } from '../../src/provision/key-state.ts'
import { describeGateStore } from '../conformance/gate-store.ts'
import { openTestDatabase } from '../support/database.ts'
import { ACME, TENANT } from '../support/gate.ts'

let database: Database
beforeAll(async () => {
  database = await openTestDatabase()
  const now = new Date()
  const { db } = database
  await db.insertInto('tenants').values({ id: TENANT, name: 'one', created_at: now }).execute()
  const customer = {
    tenant: TENANT,
    key: ACME,
    name: 'Acme',
    currency: 'USD',
    timezone: 'UTC',
    billing: '{}',
  }
  await db
    .insertInto('customers')
    .values({ ...customer, test_clock: null, version: 1, created_at: now, updated_at: now })
    .execute()
})
afterAll(async () => database.stop())

describeGateStore('PostgreSQL', async () => {
  const { db } = database
  for (const table of [
    'quota_notices',
    'quota_top_ups',
    'quota_assignments',
    'api_keys',
    'quotas',
    'outbox',
  ] as const) {
    await db.deleteFrom(table).execute()
  }
  return {
    keys: createKeyStore(db),
    quotas: createQuotaStore(db),
    snapshot: createGateSnapshot(db),
    published: async () => {
      const rows = await db.selectFrom('outbox').select(['id', 'message']).orderBy('id').execute()
      await db.deleteFrom('outbox').execute()
      return rows.map((row) => row.message as KeyTopicDocument)
    },
  }
})
