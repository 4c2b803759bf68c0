import { type Kysely, sql, type Transaction } from 'kysely'
import type { Attribution, BillingDetails, Customer, CustomerDefinition } from '../customer/customer.ts'
import type { CustomerRegistry, PutCustomerOutcome } from '../customer/customer-registry.ts'
import type { CustomerKey, SubjectId, TenantId, TestClockId } from '../id/ids.ts'
import { pageOf } from '../id/page.ts'
import type { Currency } from '../money/currency.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import type { DirectoryChange } from '../usage/directory-change.ts'
import { TOPIC_DIRECTORY } from '../usage/topics.ts'
import { changeSubjects, subjectsTaken } from './customer-subjects.ts'
import { addToOutbox } from './outbox.ts'
import type { Schema } from './schema.ts'
import { type Connection, lockName, nextChangeVersion } from './transaction.ts'

export function createCustomerRegistry(db: Kysely<Schema>): CustomerRegistry {
  return {
    get: (tenant, key) => findCustomer(db, tenant, key),
    async list(tenant, { limit, after }) {
      const rows = await customerRows(db)
        .where('c.tenant', '=', tenant)
        .$if(after !== null, (query) => query.where('c.key', '>', after))
        .orderBy('c.key')
        .limit(limit + 1)
        .execute()
      return pageOf(rows.map(customerOf), limit, (customer) => customer.key)
    },
    put: (tenant, key, definition, at) =>
      db.transaction().execute((transaction) => put(transaction, tenant, key, definition, at)),
    async attributions(tenant, key) {
      const rows = await db
        .selectFrom('customer_subjects')
        .select(['subject', 'valid_from', 'valid_until'])
        .where('tenant', '=', tenant)
        .where('customer', '=', key)
        .orderBy('subject')
        .orderBy('valid_from', (order) => order.asc().nullsFirst())
        .execute()
      return rows.map((row): Attribution => ({
        subject: row.subject as SubjectId,
        from: instantOrNull(row.valid_from),
        until: instantOrNull(row.valid_until),
      }))
    },
  }
}

export async function findCustomer(
  db: Connection,
  tenant: TenantId,
  key: CustomerKey,
): Promise<Customer | null> {
  const row = await customerRows(db)
    .where('c.tenant', '=', tenant)
    .where('c.key', '=', key)
    .executeTakeFirst()
  return row === undefined ? null : customerOf(row)
}

/** Customers with the subjects that are theirs at present. */
export function customerRows(db: Connection) {
  return db.selectFrom('customers as c').select([
    'c.tenant',
    'c.key',
    'c.name',
    'c.currency',
    'c.timezone',
    'c.billing',
    'c.test_clock',
    'c.version',
    'c.created_at',
    'c.updated_at',
    sql<string[]>`array(
      select s.subject from customer_subjects s
      where s.tenant = c.tenant and s.customer = c.key and s.valid_until is null order by s.subject)`.as(
      'subjects',
    ),
  ])
}

interface CustomerRow {
  readonly tenant: string
  readonly key: string
  readonly name: string
  readonly currency: string
  readonly timezone: string
  readonly billing: unknown
  readonly test_clock: string | null
  readonly subjects: readonly string[]
  readonly created_at: Date
  readonly updated_at: Date
}

function customerOf(row: CustomerRow): Customer {
  return {
    tenant: row.tenant as TenantId,
    key: row.key as CustomerKey,
    name: row.name,
    subjects: row.subjects as readonly SubjectId[],
    currency: row.currency as Currency,
    timezone: row.timezone,
    billing: row.billing as BillingDetails,
    testClock: row.test_clock as TestClockId | null,
    createdAt: instantOf(row.created_at.getTime()),
    updatedAt: instantOf(row.updated_at.getTime()),
  }
}

function instantOrNull(date: Date | null): Instant | null {
  return date === null ? null : instantOf(date.getTime())
}

async function put(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  key: CustomerKey,
  definition: CustomerDefinition,
  at: Instant,
): Promise<PutCustomerOutcome> {
  await lockName(transaction, 'customer', tenant, key)
  const before = await findCustomer(transaction, tenant, key)
  if (before !== null && (await isSame(transaction, before, definition))) {
    return { kind: 'unchanged', customer: before }
  }
  const now = await presentOf(transaction, tenant, definition.testClock, at)
  if (now === null) {
    return { kind: 'unknownTestClock', testClock: definition.testClock ?? ('' as TestClockId) }
  }
  const fixed = before === null ? null : await fixedMember(transaction, before, definition)
  if (fixed !== null) return { kind: 'fixed', member: fixed }
  const taken = await subjectsTaken(transaction, tenant, key, definition.subjects)
  if (taken !== null) return { kind: 'subjectTaken', ...taken }
  const version = await nextChangeVersion(transaction)
  const written = {
    name: definition.name,
    currency: definition.currency,
    timezone: definition.timezone,
    billing: JSON.stringify(definition.billing),
    test_clock: definition.testClock,
    version,
    updated_at: new Date(at),
  }
  await transaction
    .insertInto('customers')
    .values({ tenant, key, created_at: new Date(at), ...written })
    .onConflict((conflict) => conflict.columns(['tenant', 'key']).doUpdateSet(written))
    .execute()
  await changeSubjects(transaction, tenant, key, before?.subjects ?? [], definition.subjects, now)
  const change: DirectoryChange = {
    kind: 'customer',
    version,
    tenant,
    customer: key,
    subjects: definition.subjects,
    testClock: definition.testClock,
  }
  await addToOutbox(transaction, TOPIC_DIRECTORY, change)
  const customer = await findCustomer(transaction, tenant, key)
  if (customer === null) throw new Error(`the customer ${key} was written and is not there`)
  return { kind: before === null ? 'created' : 'replaced', customer }
}

/** The database compares the billing details: it does not mind the order of members. */
async function isSame(
  transaction: Transaction<Schema>,
  before: Customer,
  after: CustomerDefinition,
): Promise<boolean> {
  if (
    before.name !== after.name ||
    before.currency !== after.currency ||
    before.timezone !== after.timezone ||
    before.testClock !== after.testClock ||
    before.subjects.length !== after.subjects.length ||
    !after.subjects.every((subject) => before.subjects.includes(subject))
  ) {
    return false
  }
  const answer = await sql<{ same: boolean }>`
    select ${JSON.stringify(before.billing)}::jsonb = ${JSON.stringify(after.billing)}::jsonb as same`.execute(
    transaction,
  )
  return answer.rows[0]?.same ?? false
}

/** The present of a customer on that clock; null when there is no such clock. */
async function presentOf(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  testClock: TestClockId | null,
  systemNow: Instant,
): Promise<Instant | null> {
  if (testClock === null) return systemNow
  const row = await transaction
    .selectFrom('test_clocks')
    .select('now')
    .where('tenant', '=', tenant)
    .where('id', '=', testClock)
    .executeTakeFirst()
  return row === undefined ? null : instantOf(row.now.getTime())
}

async function fixedMember(
  transaction: Transaction<Schema>,
  before: Customer,
  after: CustomerDefinition,
): Promise<'currency' | 'testClock' | null> {
  const member =
    before.currency !== after.currency
      ? 'currency'
      : before.testClock !== after.testClock
        ? 'testClock'
        : null
  if (member === null) return null
  const subscription = await transaction
    .selectFrom('subscriptions')
    .select('id')
    .where('tenant', '=', before.tenant)
    .where('customer', '=', before.key)
    .limit(1)
    .executeTakeFirst()
  return subscription === undefined ? null : member
}
