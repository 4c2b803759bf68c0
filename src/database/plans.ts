import { type Kysely, sql, type Transaction } from 'kysely'
import type { PlanVersion, VersionPolicy } from '../catalog/plan.ts'
import type { MeterDimensions, PlanCatalog, PutPlanOutcome } from '../catalog/plan-catalog.ts'
import { judgeMeters } from '../catalog/plan-meters.ts'
import { type PlanDraft, planOfDocument } from '../catalog/plan-parse.ts'
import type { MeterKey, PlanKey, TenantId } from '../id/ids.ts'
import { pageOf } from '../id/page.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import { meterOf, meterRows } from './meters.ts'
import type { Schema } from './schema.ts'
import { spreadVersion } from './subscription-versions.ts'
import { type Connection, lockName } from './transaction.ts'

export function createPlanCatalog(db: Kysely<Schema>): PlanCatalog {
  return {
    current: (tenant, key) => currentPlan(db, tenant, key),
    async version(tenant, key, version) {
      const row = await planRows(db, tenant)
        .where('key', '=', key)
        .where('version', '=', version)
        .executeTakeFirst()
      return row === undefined ? null : planOf(row)
    },
    versions: (tenant, key) => planVersions(db, tenant, key),
    async list(tenant, { limit, after }) {
      const rows = await planRows(db, tenant)
        .distinctOn('key')
        .$if(after !== null, (query) => query.where('key', '>', after))
        .orderBy('key')
        .orderBy('version', 'desc')
        .limit(limit + 1)
        .execute()
      return pageOf(rows.map(planOf), limit, (plan) => plan.key)
    },
    put: (tenant, key, draft, at) =>
      db.transaction().execute((transaction) => put(transaction, tenant, key, draft, at)),
  }
}

interface PlanRow {
  readonly tenant: string
  readonly key: string
  readonly version: number
  readonly document: unknown
  readonly effective_at: Date | null
  readonly existing_subscriptions: string
  readonly created_at: Date
}

function planRows(db: Connection, tenant: TenantId) {
  return db.selectFrom('plan_versions').selectAll().where('tenant', '=', tenant)
}

function planOf(row: PlanRow): PlanVersion {
  return {
    tenant: row.tenant as TenantId,
    key: row.key as PlanKey,
    version: row.version,
    ...planOfDocument(row.document),
    effectiveAt: row.effective_at === null ? null : instantOf(row.effective_at.getTime()),
    existingSubscriptions: row.existing_subscriptions as VersionPolicy,
    createdAt: instantOf(row.created_at.getTime()),
  }
}

async function currentPlan(db: Connection, tenant: TenantId, key: PlanKey): Promise<PlanVersion | null> {
  const row = await planRows(db, tenant)
    .where('key', '=', key)
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row === undefined ? null : planOf(row)
}

/** Every version of a plan, oldest first; empty when there is no such plan. */
export async function planVersions(
  db: Connection,
  tenant: TenantId,
  key: PlanKey,
): Promise<readonly PlanVersion[]> {
  const rows = await planRows(db, tenant).where('key', '=', key).orderBy('version').execute()
  return rows.map(planOf)
}

/** Held by whoever makes a version of the plan or begins a phase with one, so that no subscription misses a version. */
export async function lockPlan(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  key: PlanKey,
): Promise<void> {
  await lockName(transaction, 'plan', tenant, key)
}

async function put(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  key: PlanKey,
  draft: PlanDraft,
  at: Instant,
): Promise<PutPlanOutcome> {
  await lockPlan(transaction, tenant, key)
  const { definition, effectiveAt, existingSubscriptions } = draft
  const before = await currentPlan(transaction, tenant, key)
  if (before !== null && (await isSame(transaction, before, draft)))
    return { kind: 'unchanged', plan: before }
  const faults = judgeMeters(definition, await dimensionsOf(transaction, tenant, draft))
  if (faults.length > 0) return { kind: 'faulty', faults }
  const fixed = before === null ? null : await fixedMember(transaction, before, draft)
  if (fixed !== null) return { kind: 'fixed', member: fixed }
  const plan: PlanVersion = {
    tenant,
    key,
    version: (before?.version ?? 0) + 1,
    ...definition,
    effectiveAt,
    existingSubscriptions,
    createdAt: at,
  }
  const spread = before === null ? null : await spreadVersion(transaction, plan, at)
  if (spread?.kind === 'overridesDoNotFit') return spread
  const created_at = new Date(at)
  await transaction
    .insertInto('plans')
    .values({ tenant, key, created_at })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  await transaction
    .insertInto('plan_versions')
    .values({
      tenant,
      key,
      version: plan.version,
      document: JSON.stringify(definition.document),
      effective_at: effectiveAt === null ? null : new Date(effectiveAt),
      existing_subscriptions: existingSubscriptions,
      created_at,
    })
    .execute()
  await spread?.write()
  return {
    kind: before === null ? 'created' : 'versioned',
    plan,
    subscriptionsReached: spread?.reached ?? 0,
  }
}

/** The database compares the documents: it does not mind the order of members. */
async function isSame(
  transaction: Transaction<Schema>,
  before: PlanVersion,
  draft: PlanDraft,
): Promise<boolean> {
  if (draft.effectiveAt !== null && draft.effectiveAt !== before.effectiveAt) return false
  const answer = await sql<{ same: boolean }>`
    select ${JSON.stringify(before.document)}::jsonb = ${JSON.stringify(draft.definition.document)}::jsonb as same`.execute(
    transaction,
  )
  return answer.rows[0]?.same ?? false
}

async function dimensionsOf(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  { definition }: PlanDraft,
): Promise<MeterDimensions> {
  const keys = new Set<string>()
  for (const { meter } of definition.prices) if (meter !== null) keys.add(meter)
  if (keys.size === 0) return new Map()
  const rows = await meterRows(transaction)
    .where('m.tenant', '=', tenant)
    .where('m.key', 'in', [...keys])
    .execute()
  return new Map(rows.map((row) => [row.key as MeterKey, Object.keys(meterOf(row).groupBy)]))
}

async function fixedMember(
  transaction: Transaction<Schema>,
  before: PlanVersion,
  { definition }: PlanDraft,
): Promise<'currency' | 'interval' | null> {
  const member =
    before.currency !== definition.currency
      ? 'currency'
      : before.interval !== definition.interval
        ? 'interval'
        : null
  if (member === null) return null
  const phase = await transaction
    .selectFrom('subscription_phases')
    .select('subscription')
    .where('tenant', '=', before.tenant)
    .where('plan', '=', before.key)
    .limit(1)
    .executeTakeFirst()
  return phase === undefined ? null : member
}
