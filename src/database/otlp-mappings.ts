import type { Kysely } from 'kysely'
import { pageOf } from '../id/page.ts'
import type { TenantId } from '../id/ids.ts'
import { instantOf } from '../time/instant.ts'
import type { OtlpMappingChange } from '../usage/directory-change.ts'
import {
  type OtlpMapping,
  OTLP_MAPPINGS_PER_TENANT_MAX,
  type OtlpMappingRegistry,
  type RegisteredOtlpMapping,
} from '../usage/otlp-mapping.ts'
import { TOPIC_DIRECTORY } from '../usage/topics.ts'
import { addToOutbox } from './outbox.ts'
import type { Schema } from './schema.ts'
import { type Connection, lockName, nextChangeVersion } from './transaction.ts'

export function createOtlpMappingRegistry(db: Kysely<Schema>): OtlpMappingRegistry {
  return {
    async get(tenant, key) {
      const row = await ofTenant(db, tenant).where('key', '=', key).executeTakeFirst()
      return row === undefined ? null : registered(row)
    },
    async list(tenant, { limit, after }) {
      const rows = await ofTenant(db, tenant)
        .$if(after !== null, (query) => query.where('key', '>', after))
        .orderBy('key')
        .limit(limit + 1)
        .execute()
      return pageOf(rows.map(registered), limit, ({ key }) => key)
    },
    put: (tenant, key, mapping, at) =>
      db.transaction().execute(async (transaction) => {
        // One lock for all mappings of the tenant: their number is bounded.
        await lockName(transaction, 'otlpMappings', tenant)
        const rows = await ofTenant(transaction, tenant).execute()
        const before = rows.find((row) => row.key === key)
        const most = OTLP_MAPPINGS_PER_TENANT_MAX
        if (before === undefined && rows.length >= most) return { kind: 'tooMany', most }
        const version = await nextChangeVersion(transaction)
        const written = { mapping: JSON.stringify(mapping), version, updated_at: new Date(at) }
        await transaction
          .insertInto('otlp_mappings')
          .values({ tenant, key, created_at: new Date(at), ...written })
          .onConflict((conflict) => conflict.columns(['tenant', 'key']).doUpdateSet(written))
          .execute()
        await publish(transaction, { kind: 'otlpMapping', version, tenant, key, mapping })
        const createdAt = before === undefined ? at : instantOf(before.created_at.getTime())
        return { kind: 'put', registered: { key, mapping, createdAt, updatedAt: at } }
      }),
    remove: (tenant, key) =>
      db.transaction().execute(async (transaction) => {
        await lockName(transaction, 'otlpMappings', tenant)
        const { numDeletedRows } = await transaction
          .deleteFrom('otlp_mappings')
          .where('tenant', '=', tenant)
          .where('key', '=', key)
          .executeTakeFirst()
        if (numDeletedRows === 0n) return false
        const version = await nextChangeVersion(transaction)
        await publish(transaction, { kind: 'otlpMapping', version, tenant, key, mapping: null })
        return true
      }),
  }
}

/** Every mapping of every tenant: bounded and small. */
export async function readOtlpMappings(db: Kysely<Schema>): Promise<readonly OtlpMappingChange[]> {
  const rows = await db.selectFrom('otlp_mappings').select(['tenant', 'key', 'version', 'mapping']).execute()
  return rows.map((row) => ({
    kind: 'otlpMapping',
    version: row.version,
    tenant: row.tenant as TenantId,
    key: row.key,
    mapping: row.mapping as OtlpMapping,
  }))
}

function ofTenant(connection: Connection, tenant: TenantId) {
  return connection
    .selectFrom('otlp_mappings')
    .select(['key', 'mapping', 'created_at', 'updated_at'])
    .where('tenant', '=', tenant)
}

interface Row {
  readonly key: string
  readonly mapping: unknown
  readonly created_at: Date
  readonly updated_at: Date
}

function registered(row: Row): RegisteredOtlpMapping {
  return {
    key: row.key,
    mapping: row.mapping as OtlpMapping,
    createdAt: instantOf(row.created_at.getTime()),
    updatedAt: instantOf(row.updated_at.getTime()),
  }
}

async function publish(connection: Connection, change: OtlpMappingChange): Promise<void> {
  await addToOutbox(connection, TOPIC_DIRECTORY, change)
}
