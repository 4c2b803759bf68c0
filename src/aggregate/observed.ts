import type { Cut } from '../usage/coordinate.ts'
import type { ObservedUsage } from '../usage/observed.ts'
import type { TouchedSubject } from './touched.ts'

/** Keeps a record well below the log's limit of 1 MiB, also with names of the longest kind. */
const SUBJECTS_PER_RECORD_MAX = 500
const RECORD_BYTES_MAX = 512 * 1024

/** The records that say whose usage may have changed. None when nobody's has. */
export function observedRecords(subjects: readonly TouchedSubject[], journal: Cut): readonly Uint8Array[] {
  const records: Uint8Array[] = []
  const pending = [subjects]
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part.length === 0) continue
    const record: ObservedUsage = { version: 1, touched: part, journal }
    const bytes = part.length > SUBJECTS_PER_RECORD_MAX ? null : Buffer.from(JSON.stringify(record))
    if (bytes !== null && (bytes.length <= RECORD_BYTES_MAX || part.length === 1)) {
      records.push(bytes)
    } else {
      const middle = Math.ceil(part.length / 2)
      pending.push(part.slice(middle), part.slice(0, middle))
    }
  }
  return records
}
