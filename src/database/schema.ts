import type { BackfillTables } from './schema-backfill.ts'
import type { ControlTables } from './schema-control.ts'
import type { InvoiceTables } from './schema-invoice.ts'
import type { ProvisionTables } from './schema-provision.ts'

/** Every table of the database. Each area declares its own next to its queries. */
export type Schema = BackfillTables & ControlTables & InvoiceTables & ProvisionTables
