import { type Kysely, sql, type Transaction } from 'kysely'
import type { Schema } from './schema.ts'

/** Where a query may run: on the database or within a transaction. */
export type Connection = Kysely<Schema> | Transaction<Schema>

/**
 * Makes transactions on one named thing run one after another, whether it exists yet or not. Held until the end of
 * the transaction.
 */
export async function lockName(transaction: Transaction<Schema>, ...name: readonly string[]): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${JSON.stringify(name)}, 0))`.execute(transaction)
}

/** The next number of a published state; numbers grow in the order in which they are taken. */
export async function nextChangeVersion(connection: Connection): Promise<number> {
  const answer = await sql<{ version: number }>`select nextval('change_version') as version`.execute(
    connection,
  )
  const version = answer.rows[0]?.version
  if (version === undefined) throw new Error('the sequence change_version answered nothing')
  return version
}
