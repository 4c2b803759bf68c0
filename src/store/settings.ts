import type { Lane } from '../aggregate/ports.ts'

/**
 * Settings stand in the SQL text, from constants only. On the embedded engine the client's own settings become `SET`
 * statements that stick to the session, and a backslash in a value would run as SQL.
 */
const ANSWERS = 'output_format_json_quote_64bit_integers = 1, output_format_json_quote_decimals = 1'

/** Equal keys have equal minutes, so they lie in one month's partition: FINAL need not compare across months. */
const READING = `${ANSWERS}, do_not_merge_across_partitions_select_final = 1, max_bytes_before_external_sort = 2000000000, max_bytes_before_external_group_by = 2000000000`

const LANE_SETTINGS: Readonly<Record<Lane, string>> = {
  write: READING,
  read: READING,
  // FINAL with two threads costs up to three times the CPU of one.
  background: `${READING}, max_threads = 1`,
}

/** A reading statement with the settings of its lane. */
export function withReadSettings(sql: string, lane: Lane): string {
  return `${sql}\nSETTINGS ${LANE_SETTINGS[lane]}`
}

/**
 * Of a bulk insert. Exactness comes from the rows' keys, so the engine's own deduplication is off: its tokens lose
 * rows on a crash. `optimize_on_insert` would sort out copies before writing, at half of the whole cost, which FINAL
 * does anyhow. No byte limit on blocks: one insert becomes one part.
 */
export const INSERT_SETTINGS =
  'async_insert = 0, insert_deduplicate = 0, optimize_on_insert = 0, min_insert_block_size_rows = 1048576, min_insert_block_size_bytes = 0'
