import { type Kysely, sql, type Transaction } from 'kysely'
import type { ApiKeyId, TenantId } from '../id/ids.ts'
import { pageOf } from '../id/page.ts'
import { withCause, withoutCauses } from '../provision/cause.ts'
import { holderOf } from '../provision/holder.ts'
import type { KeyState } from '../provision/key-state.ts'
import { succeed } from '../provision/mint.ts'
import type { KeyChangeOutcome, KeyStore } from '../provision/ports.ts'
import { instantOf } from '../time/instant.ts'
import { TOPIC_KEY_STATE } from '../usage/topics.ts'
import { addToOutbox } from './outbox.ts'
import type { Schema } from './schema.ts'

/** Keys in PostgreSQL. Each write publishes the new state through the outbox, in its own transaction. */
export function createKeyStore(db: Kysely<Schema>): KeyStore {
  /** Reads the key under its lock, asks what it becomes, and writes that a version further. */
  const change = (
    tenant: TenantId,
    keyId: ApiKeyId,
    to: (held: KeyState) => Partial<KeyState> | null,
  ): Promise<KeyChangeOutcome> =>
    db.transaction().execute(async (trx) => {
      const held = await lockKey(trx, tenant, keyId)
      if (held === null) return { kind: 'unknown' }
      const changes = to(held)
      if (changes === null) return { kind: 'unchanged', state: held }
      if (held.revokedAt !== null) return { kind: 'revoked', state: held }
      const state = { ...held, ...changes, version: held.version + 1 }
      await replaceKey(trx, state)
      return { kind: 'changed', state }
    })

  return {
    create: (state) =>
      db.transaction().execute(async (trx) => {
        const found = await trx
          .selectFrom('quotas')
          .select('key')
          .where('tenant', '=', state.tenant)
          .where('key', 'in', [...state.quotas, ''])
          .execute()
        const missing = state.quotas.find((quotaKey) => !found.some((row) => row.key === quotaKey))
        if (missing !== undefined) return { kind: 'unknownQuota', quotaKey: missing }
        return { kind: (await insertKey(trx, state)) ? 'created' : 'hashTaken' }
      }),

    async get(tenant, keyId) {
      const row = await db
        .selectFrom('api_keys')
        .select('state')
        .where('tenant', '=', tenant)
        .where('id', '=', keyId)
        .executeTakeFirst()
      return row?.state ?? null
    },

    async list(tenant, { customer, subject }, { limit, after }) {
      const rows = await db
        .selectFrom('api_keys')
        .select('state')
        .where('tenant', '=', tenant)
        .$if(customer !== undefined, (query) => query.where('customer', '=', customer ?? null))
        .$if(subject !== undefined, (query) => query.where('subject', '=', subject ?? null))
        .$if(after !== null, (query) => query.where('id', '>', after))
        .orderBy('id')
        .limit(limit + 1)
        .execute()
      const states = rows.map((row) => row.state)
      return pageOf(states, limit, (state) => state.keyId)
    },

    rotate: (tenant, keyId, secret, overlapUntil) =>
      db.transaction().execute(async (trx) => {
        const held = await lockKey(trx, tenant, keyId)
        if (held === null) return { kind: 'unknown' }
        if (held.revokedAt !== null) return { kind: 'revoked' }
        if (held.rotatedTo !== null) return { kind: 'alreadyRotated', to: held.rotatedTo }
        const { state, predecessor } = succeed(held, secret, overlapUntil)
        if (!(await insertKey(trx, state))) throw new Error('a key of 190 random bits was made twice')
        await replaceKey(trx, predecessor)
        return { kind: 'rotated', state, predecessor }
      }),

    revoke: (tenant, keyId, at) =>
      change(tenant, keyId, (held) => (held.revokedAt === null ? { revokedAt: at } : null)),

    suspend: (tenant, keyId, cause) =>
      change(tenant, keyId, (held) =>
        held.causes.some((one) => one.kind === cause.kind) ? null : { causes: withCause(held.causes, cause) },
      ),

    resume: (tenant, keyId, kind) =>
      change(tenant, keyId, (held) =>
        held.causes.some((one) => one.kind === kind)
          ? { causes: withoutCauses(held.causes, { kind }) }
          : null,
      ),

    async noteUses(uses) {
      if (uses.length === 0) return
      await sql`
        update api_keys as k set last_used_at = greatest(k.last_used_at, u.at)
        from unnest(
          ${uses.map((use) => use.tenant)}::text[],
          ${uses.map((use) => use.keyId)}::text[],
          ${uses.map((use) => new Date(use.at))}::timestamptz[]
        ) as u (tenant, id, at)
        where k.tenant = u.tenant and k.id = u.id`.execute(db)
    },

    async lastUses(tenant, keyIds) {
      if (keyIds.length === 0) return new Map()
      const rows = await db
        .selectFrom('api_keys')
        .select(['id', 'last_used_at'])
        .where('tenant', '=', tenant)
        .where('id', 'in', [...keyIds])
        .where('last_used_at', 'is not', null)
        .execute()
      return new Map(
        rows.flatMap(({ id, last_used_at: at }) =>
          at === null ? [] : [[id as ApiKeyId, instantOf(at.getTime())] as const],
        ),
      )
    },
  }
}

/** Writes a state that replaces the one held, and publishes it. The row must be locked by this transaction. */
export async function replaceKey(trx: Transaction<Schema>, state: KeyState): Promise<void> {
  await trx
    .updateTable('api_keys')
    .set({ state: JSON.stringify(state), version: state.version, revoked: state.revokedAt !== null })
    .where('tenant', '=', state.tenant)
    .where('id', '=', state.keyId)
    .executeTakeFirstOrThrow()
  await addToOutbox(trx, TOPIC_KEY_STATE, state)
}

/** False when there is a key with this hash. */
async function insertKey(trx: Transaction<Schema>, state: KeyState): Promise<boolean> {
  const holder = holderOf(state)
  const inserted = await trx
    .insertInto('api_keys')
    .values({
      tenant: state.tenant,
      id: state.keyId,
      hash: state.hash,
      customer: state.customer,
      subject: state.subject,
      holder_kind: holder?.kind ?? null,
      holder_id: holder?.id ?? null,
      quotas: [...state.quotas],
      revoked: state.revokedAt !== null,
      version: state.version,
      state: JSON.stringify(state),
    })
    .onConflict((conflict) => conflict.column('hash').doNothing())
    .executeTakeFirst()
  if (inserted.numInsertedOrUpdatedRows !== 1n) return false
  if (holder !== null && state.quotas.length > 0) {
    await trx
      .insertInto('quota_assignments')
      .values(
        state.quotas.map((quota) => ({
          tenant: state.tenant,
          quota,
          holder_kind: holder.kind,
          holder_id: holder.id,
          status: null,
        })),
      )
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
  await addToOutbox(trx, TOPIC_KEY_STATE, state)
  return true
}

async function lockKey(
  trx: Transaction<Schema>,
  tenant: TenantId,
  keyId: ApiKeyId,
): Promise<KeyState | null> {
  const row = await trx
    .selectFrom('api_keys')
    .select('state')
    .where('tenant', '=', tenant)
    .where('id', '=', keyId)
    .forUpdate()
    .executeTakeFirst()
  return row?.state ?? null
}
