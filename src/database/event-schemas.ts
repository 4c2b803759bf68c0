import { isDeepStrictEqual } from 'node:util'
import type { Kysely, Transaction } from 'kysely'
import { pageOf } from '../id/page.ts'
import type { TenantId } from '../id/ids.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import type { EventSchemaChange } from '../usage/directory-change.ts'
import {
  EVENT_SCHEMAS_PER_TENANT_MAX,
  type EventSchemaRegistry,
  type JsonSchema,
  type PutEventSchemaOutcome,
  type RegisteredEventSchema,
} from '../usage/event-schema.ts'
import { TOPIC_DIRECTORY } from '../usage/topics.ts'
import { addToOutbox } from './outbox.ts'
import type { Schema } from './schema.ts'
import { lockName, nextChangeVersion } from './transaction.ts'

const COLUMNS = ['type', 'schema', 'revision', 'created_at', 'updated_at'] as const

export function createEventSchemaRegistry(db: Kysely<Schema>): EventSchemaRegistry {
  return {
    async get(tenant, type) {
      const row = await db
        .selectFrom('event_schemas')
        .select(COLUMNS)
        .where('tenant', '=', tenant)
        .where('type', '=', type)
        .executeTakeFirst()
      return row === undefined ? null : registered(row)
    },
    async list(tenant, { limit, after }) {
      const rows = await db
        .selectFrom('event_schemas')
        .select(COLUMNS)
        .where('tenant', '=', tenant)
        .$if(after !== null, (query) => query.where('type', '>', after))
        .orderBy('type')
        .limit(limit + 1)
        .execute()
      return pageOf(rows.map(registered), limit, ({ type }) => type)
    },
    put: (tenant, type, schema, at) =>
      db.transaction().execute((transaction) => put(transaction, tenant, type, schema, at)),
    remove: (tenant, type) => db.transaction().execute((transaction) => remove(transaction, tenant, type)),
  }
}

interface Row {
  readonly type: string
  readonly schema: unknown
  readonly revision: number
  readonly created_at: Date
  readonly updated_at: Date
}

function registered(row: Row): RegisteredEventSchema {
  return {
    type: row.type,
    schema: row.schema as JsonSchema,
    revision: row.revision,
    createdAt: instantOf(row.created_at.getTime()),
    updatedAt: instantOf(row.updated_at.getTime()),
  }
}

async function put(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  type: string,
  schema: JsonSchema,
  at: Instant,
): Promise<PutEventSchemaOutcome> {
  // One lock for all schemas of the tenant: their number is bounded.
  await lockName(transaction, 'eventSchemas', tenant)
  const ofTenant = transaction.selectFrom('event_schemas').where('tenant', '=', tenant)
  const row = await ofTenant.select(COLUMNS).where('type', '=', type).executeTakeFirst()
  const before = row === undefined ? null : registered(row)
  if (before !== null && isDeepStrictEqual(before.schema, schema)) {
    return { kind: 'unchanged', registered: before }
  }
  if (before === null) {
    const { schemas } = await ofTenant
      .select((eb) => eb.fn.countAll<number>().as('schemas'))
      .executeTakeFirstOrThrow()
    if (schemas >= EVENT_SCHEMAS_PER_TENANT_MAX)
      return { kind: 'tooMany', most: EVENT_SCHEMAS_PER_TENANT_MAX }
  }
  const version = await nextChangeVersion(transaction)
  const revision = (before?.revision ?? 0) + 1
  const updated_at = new Date(at)
  const written = { schema: JSON.stringify(schema), revision, version, updated_at }
  await transaction
    .insertInto('event_schemas')
    .values({ tenant, type, created_at: updated_at, ...written })
    .onConflict((conflict) => conflict.columns(['tenant', 'type']).doUpdateSet(written))
    .execute()
  await publish(transaction, { kind: 'eventSchema', version, tenant, type, schema })
  const createdAt = before?.createdAt ?? at
  return {
    kind: before === null ? 'created' : 'revised',
    registered: { type, schema, revision, createdAt, updatedAt: at },
  }
}

async function remove(transaction: Transaction<Schema>, tenant: TenantId, type: string): Promise<boolean> {
  await lockName(transaction, 'eventSchemas', tenant)
  const { numDeletedRows } = await transaction
    .deleteFrom('event_schemas')
    .where('tenant', '=', tenant)
    .where('type', '=', type)
    .executeTakeFirst()
  if (numDeletedRows === 0n) return false
  const version = await nextChangeVersion(transaction)
  await publish(transaction, { kind: 'eventSchema', version, tenant, type, schema: null })
  return true
}

async function publish(transaction: Transaction<Schema>, change: EventSchemaChange): Promise<void> {
  await addToOutbox(transaction, TOPIC_DIRECTORY, change)
}
