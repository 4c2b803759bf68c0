import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { readDirectory } from '../../src/database/directory-snapshot.ts'
import { createEventSchemaRegistry } from '../../src/database/event-schemas.ts'
import { ensureTenant } from '../../src/database/tenants.ts'
import type { TenantId } from '../../src/id/ids.ts'
import type { DirectoryChange } from '../../src/usage/directory-change.ts'
import { EVENT_SCHEMAS_PER_TENANT_MAX } from '../../src/usage/event-schema.ts'
import { at } from '../support/control.ts'
import { openTestDatabase } from '../support/database.ts'

const NOW = at('2026-03-01')
const A = 'ten_a' as TenantId
const B = 'ten_b' as TenantId
let database: Database
beforeAll(async () => {
  database = await openTestDatabase()
  for (const tenant of [A, B]) await ensureTenant(database.db, tenant, tenant, NOW)
})
afterAll(async () => database.stop())

const published = async (): Promise<readonly DirectoryChange[]> => {
  const rows = await database.db.selectFrom('outbox').select('message').orderBy('id').execute()
  return rows.map(({ message }) => message as DirectoryChange)
}
const snapshot = async (): Promise<DirectoryChange[]> => {
  const changes: DirectoryChange[] = []
  for await (const page of readDirectory(database.db)) changes.push(...page)
  return changes
}

it('a schema is published when it is new, changed or gone, and not when it is the same', async () => {
  const schemas = createEventSchemaRegistry(database.db)
  const one = { type: 'object', properties: { a: { type: 'string' } } }
  const reordered = { properties: { a: { type: 'string' } }, type: 'object' }
  expect((await schemas.put(A, 't/1', one, NOW)).kind).toBe('created')
  expect((await schemas.put(A, 't/1', reordered, NOW)).kind).toBe('unchanged')
  expect(await schemas.put(A, 't/1', {}, NOW)).toMatchObject({ kind: 'revised', registered: { revision: 2 } })
  expect(await schemas.get(B, 't/1')).toBeNull()
  expect(await schemas.remove(B, 't/1')).toBe(false)
  const inForce = { kind: 'eventSchema', tenant: A, type: 't/1', schema: {} }
  expect(await snapshot()).toMatchObject([inForce])
  expect(await schemas.remove(A, 't/1')).toBe(true)
  expect(await snapshot()).toEqual([])
  const changes = await published()
  expect(changes).toMatchObject([{ schema: one }, inForce, { ...inForce, schema: null }])
  const versions = changes.map((change) => change.version)
  expect(versions).toEqual(versions.toSorted((a, b) => a - b))
  expect(new Set(versions).size).toBe(3)
})

it('a tenant has a bounded number, also where several writers are at it', async () => {
  const schemas = createEventSchemaRegistry(database.db)
  const rows = Array.from({ length: EVENT_SCHEMAS_PER_TENANT_MAX - 1 }, (_, i) => ({
    tenant: A,
    type: `type-${i}`,
    schema: '{}',
    revision: 1,
    version: i,
    created_at: new Date(NOW),
    updated_at: new Date(NOW),
  }))
  await database.db.insertInto('event_schemas').values(rows).execute()
  const outcomes = await Promise.all(['x', 'y', 'z'].map((type) => schemas.put(A, type, {}, NOW)))
  expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['created', 'tooMany', 'tooMany'])
  expect((await schemas.put(B, 'x', {}, NOW)).kind).toBe('created')
  expect(await snapshot()).toHaveLength(EVENT_SCHEMAS_PER_TENANT_MAX + 1)
})
