import { sql } from 'kysely'
import type { CreditNoteStore } from '../invoice/receivable-ports.ts'
import { instantOf } from '../time/instant.ts'
import type { Database } from './database.ts'
import { creditNoteOf } from './invoice-rows.ts'

/** Credit notes in PostgreSQL, to read; they are written with what they change. */
export function createCreditNoteStore({ db }: Pick<Database, 'db'>): CreditNoteStore {
  return {
    async get(tenant, id) {
      const row = await db
        .selectFrom('credit_notes')
        .select(['document', 'hash', 'total', 'applied'])
        .where('tenant', '=', tenant)
        .where('id', '=', id)
        .executeTakeFirst()
      return row === undefined ? null : creditNoteOf(row)
    },

    async list(tenant, { customer, invoice, limit, after }) {
      let query = db
        .selectFrom('credit_notes')
        .select(['id', 'issued_at', 'document', 'hash', 'total', 'applied'])
        .where('tenant', '=', tenant)
      if (customer !== null) query = query.where('customer', '=', customer)
      if (invoice !== null) query = query.where('invoice', '=', invoice)
      if (after !== null) {
        query = query.where(sql<boolean>`(issued_at, id) < (${new Date(after.issuedAt)}, ${after.id})`)
      }
      const rows = await query
        .orderBy('issued_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1)
        .execute()
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      const next =
        rows.length > limit && last !== undefined
          ? { issuedAt: instantOf(last.issued_at.getTime()), id: last.id }
          : null
      return { data: page.map(creditNoteOf), next }
    },
  }
}
