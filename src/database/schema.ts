import type { ControlTables } from './schema-control.ts'

/** Every table of the database. Each area declares its own next to its queries. */
export type Schema = ControlTables
