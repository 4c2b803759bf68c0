import type { Kysely } from 'kysely'
import type { CustomerKey, SubjectId, TenantId, TestClockId } from '../id/ids.ts'
import { instantOf } from '../time/instant.ts'
import type { DirectoryChange, EventSchemaChange } from '../usage/directory-change.ts'
import type { JsonSchema } from '../usage/event-schema.ts'
import { customerRows } from './customers.ts'
import { meterOf, meterRows } from './meters.ts'
import { readOtlpMappings } from './otlp-mappings.ts'
import type { Schema } from './schema.ts'

const PAGE_ROWS = 2_000
/** Schemas may be large. */
const SCHEMA_PAGE_ROWS = 200

/**
 * What `directory.state.v1` would say if it were read from its beginning: clocks first, then meters, then customers,
 * so that no customer is seen before the clock it lives by. Pages may be newer than those before: versions decide.
 */
export async function* readDirectory(db: Kysely<Schema>): AsyncGenerator<readonly DirectoryChange[]> {
  const clocks = await db.selectFrom('test_clocks').select(['tenant', 'id', 'now', 'version']).execute()
  yield clocks.map((row) => ({
    kind: 'testClock',
    version: row.version,
    tenant: row.tenant as TenantId,
    testClock: row.id as TestClockId,
    now: instantOf(row.now.getTime()),
  }))
  const meters = await meterRows(db).execute()
  yield meters.map((row) => ({ kind: 'meter', version: row.version, meter: meterOf(row) }))
  yield await readOtlpMappings(db)
  yield* readEventSchemas(db)
  for (let after: readonly [string, string] = ['', '']; ;) {
    const [tenant, key] = after
    const rows = await customerRows(db)
      .where((is) => is(is.refTuple('c.tenant', 'c.key'), '>', is.tuple(tenant, key)))
      .orderBy('c.tenant')
      .orderBy('c.key')
      .limit(PAGE_ROWS)
      .execute()
    yield rows.map((row) => ({
      kind: 'customer',
      version: row.version,
      tenant: row.tenant as TenantId,
      customer: row.key as CustomerKey,
      subjects: row.subjects as SubjectId[],
      testClock: row.test_clock as TestClockId | null,
    }))
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE_ROWS) return
    after = [last.tenant, last.key]
  }
}

async function* readEventSchemas(db: Kysely<Schema>): AsyncGenerator<readonly EventSchemaChange[]> {
  for (let after: readonly [string, string] = ['', '']; ;) {
    const [tenant, type] = after
    const rows = await db
      .selectFrom('event_schemas')
      .select(['tenant', 'type', 'version', 'schema'])
      .where((is) => is(is.refTuple('tenant', 'type'), '>', is.tuple(tenant, type)))
      .orderBy('tenant')
      .orderBy('type')
      .limit(SCHEMA_PAGE_ROWS)
      .execute()
    yield rows.map((row) => ({
      kind: 'eventSchema',
      version: row.version,
      tenant: row.tenant as TenantId,
      type: row.type,
      schema: row.schema as JsonSchema,
    }))
    const last = rows.at(-1)
    if (last === undefined || rows.length < SCHEMA_PAGE_ROWS) return
    after = [last.tenant, last.type]
  }
}
