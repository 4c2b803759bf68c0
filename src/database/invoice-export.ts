import { sql } from 'kysely'
import type { CustomerKey, InvoiceId } from '../id/ids.ts'
import type { RatedUsageStore } from '../invoice/rated-usage.ts'
import { formatInstant, instantOf } from '../time/instant.ts'
import type { Database } from './database.ts'

/** Lines of invoices for exports, in PostgreSQL. */
export function createRatedUsageStore({ db }: Pick<Database, 'db'>): RatedUsageStore {
  return {
    async lines(tenant, { start, end }, limit, after) {
      let query = db
        .selectFrom('invoice_lines as l')
        .innerJoin('invoices as i', (join) =>
          join.onRef('i.tenant', '=', 'l.tenant').onRef('i.id', '=', 'l.invoice'),
        )
        .select([
          'i.number',
          'i.id as invoice',
          'i.issued_at',
          'i.customer',
          'i.currency',
          'l.position',
          'l.id',
          'l.kind',
          'l.subscription',
          'l.plan',
          'l.plan_version',
          'l.price',
          'l.name',
          'l.meter',
          'l.quantity',
          'l.amount',
          'l.exact_amount',
          'l.starts_at',
          'l.ends_at',
        ])
        .where('l.tenant', '=', tenant)
        .where('l.ends_at', '>', new Date(start))
        .where('l.starts_at', '<', new Date(end))
        .where('i.state', '<>', 'void')
      if (after !== null) {
        const { endsAt, invoice, position } = after
        query = query.where(
          sql<boolean>`(l.ends_at, l.invoice, l.position) > (${new Date(endsAt)}, ${invoice}, ${position})`,
        )
      }
      const rows = await query
        .orderBy('l.ends_at')
        .orderBy('l.invoice')
        .orderBy('l.position')
        .limit(limit)
        .execute()
      const last = rows.at(-1)
      return {
        rows: rows.map((row) => ({
          status: 'invoiced',
          document: row.number,
          documentId: row.invoice,
          issuedAt: formatInstant(instantOf(row.issued_at.getTime())),
          customer: row.customer as CustomerKey,
          currency: row.currency,
          line: row.id,
          kind: row.kind,
          subscription: row.subscription,
          plan: row.plan,
          planVersion: row.plan_version,
          price: row.price,
          name: row.name,
          meter: row.meter,
          quantity: row.quantity,
          amount: row.amount,
          exactAmount: row.exact_amount,
          start: formatInstant(instantOf(row.starts_at.getTime())),
          end: formatInstant(instantOf(row.ends_at.getTime())),
        })),
        next:
          rows.length < limit || last === undefined
            ? null
            : {
                endsAt: instantOf(last.ends_at.getTime()),
                invoice: last.invoice as InvoiceId,
                position: last.position,
              },
      }
    },

    async customers(tenant, limit, after) {
      const rows = await db
        .selectFrom('bill_schedules')
        .select('customer')
        .where('tenant', '=', tenant)
        .$if(after !== null, (query) => query.where('customer', '>', after ?? ''))
        .orderBy('customer')
        .limit(limit)
        .execute()
      return rows.map(({ customer }) => customer as CustomerKey)
    },
  }
}
