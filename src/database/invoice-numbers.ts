import type { Transaction } from 'kysely'
import type { TenantId } from '../id/ids.ts'
import type { Schema } from './schema.ts'

/** A tenant that names no legal entities has this one. */
export const DEFAULT_ENTITY = 'default'
const PREFIXES = { invoice: 'INV-', creditNote: 'CN-' } as const
/** Shorter numbers are padded, so that they sort. */
const numberDigitsMin = 6

type Trx = Transaction<Schema>

interface TakenNumbers {
  readonly prefix: string
  readonly first: number
  readonly lastHash: string | null
}

/** Takes the next numbers. The row stays locked to the end of the transaction; a rollback gives them back. */
export async function takeNumbers(
  trx: Trx,
  tenant: TenantId,
  document: keyof typeof PREFIXES,
  count: number,
): Promise<TakenNumbers> {
  await trx
    .insertInto('invoice_counters')
    .values({
      tenant,
      legal_entity: DEFAULT_ENTITY,
      document,
      prefix: PREFIXES[document],
      next_number: 1,
      last_hash: null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const row = await trx
    .updateTable('invoice_counters')
    .set((column) => ({ next_number: column('next_number', '+', count) }))
    .where('tenant', '=', tenant)
    .where('legal_entity', '=', DEFAULT_ENTITY)
    .where('document', '=', document)
    .returning(['prefix', 'next_number', 'last_hash'])
    .executeTakeFirstOrThrow()
  return { prefix: row.prefix, first: row.next_number - count, lastHash: row.last_hash }
}

export function numberText(prefix: string, sequence: number): string {
  return `${prefix}${String(sequence).padStart(numberDigitsMin, '0')}`
}

/** Within the transaction that took it, for a document that was not written. */
export async function giveNumberBack(
  trx: Trx,
  tenant: TenantId,
  document: keyof typeof PREFIXES,
): Promise<void> {
  await trx
    .updateTable('invoice_counters')
    .set((column) => ({ next_number: column('next_number', '-', 1) }))
    .where('tenant', '=', tenant)
    .where('legal_entity', '=', DEFAULT_ENTITY)
    .where('document', '=', document)
    .executeTakeFirstOrThrow()
}

export async function keepHash(
  trx: Trx,
  tenant: TenantId,
  document: keyof typeof PREFIXES,
  hash: string,
): Promise<void> {
  await trx
    .updateTable('invoice_counters')
    .set({ last_hash: hash })
    .where('tenant', '=', tenant)
    .where('legal_entity', '=', DEFAULT_ENTITY)
    .where('document', '=', document)
    .executeTakeFirstOrThrow()
}
