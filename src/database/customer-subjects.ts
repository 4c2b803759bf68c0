import { sql, type Transaction } from 'kysely'
import type { CustomerKey, SubjectId, TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import type { Schema } from './schema.ts'
import { lockName } from './transaction.ts'

/** The first of the subjects that another customer pays for at present; null when there is none. */
export async function subjectsTaken(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  customer: CustomerKey,
  subjects: readonly SubjectId[],
): Promise<{ readonly subject: SubjectId; readonly by: CustomerKey } | null> {
  if (subjects.length === 0) return null
  // Claims of one tenant are judged one after another, so that two of them cannot both find a subject free.
  await lockName(transaction, 'subjects', tenant)
  const row = await transaction
    .selectFrom('customer_subjects')
    .select(['subject', 'customer'])
    .where('tenant', '=', tenant)
    .where('subject', 'in', subjects)
    .where('valid_until', 'is', null)
    .where('customer', '<>', customer)
    .orderBy('subject')
    .limit(1)
    .executeTakeFirst()
  return row === undefined ? null : { subject: row.subject as SubjectId, by: row.customer as CustomerKey }
}

/**
 * Ends the attribution of subjects that are left out, and begins that of new ones. A subject that nobody had is the
 * customer's for all time before; one that was somebody's is from when that ended, so no usage is between two.
 */
export async function changeSubjects(
  transaction: Transaction<Schema>,
  tenant: TenantId,
  customer: CustomerKey,
  before: readonly SubjectId[],
  after: readonly SubjectId[],
  now: Instant,
): Promise<void> {
  const dropped = before.filter((subject) => !after.includes(subject))
  const added = after.filter((subject) => !before.includes(subject))
  if (dropped.length > 0) {
    await transaction
      .updateTable('customer_subjects')
      .set({ valid_until: sql<Date>`greatest(valid_from, ${new Date(now)}::timestamptz)` })
      .where('tenant', '=', tenant)
      .where('customer', '=', customer)
      .where('subject', 'in', dropped)
      .where('valid_until', 'is', null)
      .execute()
  }
  if (added.length > 0) {
    await sql`
      insert into customer_subjects (tenant, subject, customer, valid_from)
      select ${tenant}, added.subject, ${customer},
        (select max(s.valid_until) from customer_subjects s where s.tenant = ${tenant} and s.subject = added.subject)
      from unnest(${added}::text[]) as added (subject)`.execute(transaction)
  }
}
