import type { Kysely, Transaction } from 'kysely'
import type { MeterKey, TenantId } from '../id/ids.ts'
import { pageOf } from '../id/page.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import type { DirectoryChange } from '../usage/directory-change.ts'
import type { Meter } from '../usage/meter.ts'
import { countsTheSame, type MeterDefinition } from '../usage/meter-parse.ts'
import type { MeterRegistry, PutMeterOutcome, RegisteredMeter } from '../usage/meter-registry.ts'
import { TOPIC_DIRECTORY } from '../usage/topics.ts'
import { addToOutbox } from './outbox.ts'
import type { Schema } from './schema.ts'
import { type Connection, lockName, nextChangeVersion } from './transaction.ts'

/** What a revision keeps: the definition without the name, which is not versioned. */
type Counted = Omit<MeterDefinition, 'name'>

interface MeterRow {
  readonly tenant: string
  readonly key: string
  readonly name: string
  readonly revision: number
  readonly definition: unknown
  readonly version: number
  readonly created_at: Date
  readonly updated_at: Date
}

export function createMeterRegistry(db: Kysely<Schema>): MeterRegistry {
  return {
    async get(tenant, key) {
      const row = await meterRows(db)
        .where('m.tenant', '=', tenant)
        .where('m.key', '=', key)
        .executeTakeFirst()
      return row === undefined ? null : registered(row)
    },
    async revision(tenant, key, revision) {
      const row = await db
        .selectFrom('meter_revisions as r')
        .innerJoin('meters as m', (join) =>
          join.onRef('m.tenant', '=', 'r.tenant').onRef('m.key', '=', 'r.key'),
        )
        .select(['m.tenant', 'm.key', 'm.name', 'r.revision', 'r.definition'])
        .where('r.tenant', '=', tenant)
        .where('r.key', '=', key)
        .where('r.revision', '=', revision)
        .executeTakeFirst()
      return row === undefined ? null : meterOf(row)
    },
    async list(tenant, { limit, after }) {
      const rows = await meterRows(db)
        .where('m.tenant', '=', tenant)
        .$if(after !== null, (query) => query.where('m.key', '>', after))
        .orderBy('m.key')
        .limit(limit + 1)
        .execute()
      return pageOf(rows.map(registered), limit, ({ meter }) => meter.key)
    },
    put: (tenant, key, definition, at) =>
      db.transaction().execute((transaction) => put(transaction, tenant, key, definition, at)),
  }
}

/** The newest revision of every meter. */
export function meterRows(db: Connection) {
  return db
    .selectFrom('meters as m')
    .innerJoin('meter_revisions as r', (join) =>
      join
        .onRef('r.tenant', '=', 'm.tenant')
        .onRef('r.key', '=', 'm.key')
        .onRef('r.revision', '=', 'm.revision'),
    )
    .select([
      'm.tenant',
      'm.key',
      'm.name',
      'm.revision',
      'm.version',
      'm.created_at',
      'm.updated_at',
      'r.definition',
    ])
}

export function meterOf(row: Pick<MeterRow, 'tenant' | 'key' | 'name' | 'revision' | 'definition'>): Meter {
  return {
    tenant: row.tenant as TenantId,
    key: row.key as MeterKey,
    name: row.name,
    ...(row.definition as Counted),
    revision: row.revision,
  }
}

function registered(row: MeterRow): RegisteredMeter {
  return {
    meter: meterOf(row),
    createdAt: instantOf(row.created_at.getTime()),
    updatedAt: instantOf(row.updated_at.getTime()),
  }
}

async function put(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  key: MeterKey,
  definition: MeterDefinition,
  at: Instant,
): Promise<PutMeterOutcome> {
  await lockName(transaction, 'meter', tenant, key)
  const row = await meterRows(transaction)
    .where('m.tenant', '=', tenant)
    .where('m.key', '=', key)
    .executeTakeFirst()
  const before = row === undefined ? null : registered(row)
  const kind = changeOf(before, definition)
  if (before !== null && kind === 'unchanged') return { kind, ...before }
  const revision = (before?.meter.revision ?? 0) + (kind === 'renamed' ? 0 : 1)
  const version = await nextChangeVersion(transaction)
  const updated_at = new Date(at)
  await transaction
    .insertInto('meters')
    .values({ tenant, key, name: definition.name, revision, version, created_at: updated_at, updated_at })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant', 'key'])
        .doUpdateSet({ name: definition.name, revision, version, updated_at }),
    )
    .execute()
  const { name, ...counted } = definition
  if (kind !== 'renamed') {
    await transaction
      .insertInto('meter_revisions')
      .values({ tenant, key, revision, definition: JSON.stringify(counted), created_at: updated_at })
      .execute()
  }
  const meter: Meter = { tenant, key, name, ...counted, revision }
  const change: DirectoryChange = { kind: 'meter', version, meter }
  await addToOutbox(transaction, TOPIC_DIRECTORY, change)
  return { kind, meter, createdAt: before?.createdAt ?? at, updatedAt: at }
}

function changeOf(before: RegisteredMeter | null, definition: MeterDefinition): PutMeterOutcome['kind'] {
  if (before === null) return 'created'
  if (!countsTheSame(before.meter, definition)) return 'revised'
  return before.meter.name === definition.name ? 'unchanged' : 'renamed'
}
