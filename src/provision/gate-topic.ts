import type { Freshness } from './freshness.ts'
import { decodeKeyTopicDocument } from './key-state.ts'
import type { KeyTable } from './key-table.ts'
import type { GateSnapshot } from './ports.ts'

/** Fills a table from the database. Pages are applied as they come: a million keys never stand in memory twice. */
export async function loadKeyTable(table: Pick<KeyTable, 'apply'>, snapshot: GateSnapshot): Promise<void> {
  for await (const states of snapshot.keys()) for (const state of states) table.apply(state)
  for await (const statuses of snapshot.statuses()) for (const status of statuses) table.apply(status)
}

/** Applies one record of `key.state.v1`. Order and repetition do not matter; kinds of later versions are passed over. */
export function applyKeyRecord(
  table: Pick<KeyTable, 'apply'>,
  value: Uint8Array,
  freshness?: Pick<Freshness, 'beat'>,
): void {
  const document = decodeKeyTopicDocument(value)
  if (document?.kind === 'heartbeat') freshness?.beat()
  else if (document !== null) table.apply(document)
}
