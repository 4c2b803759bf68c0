import type { UsageStore } from './ports.ts'
import { RowWriter } from './row-binary.ts'
import type { MinuteMark } from './touched.ts'

export const MINUTE_SECONDS = 60
export const HOUR_SECONDS = 3600

/** In place of a partition: the search for voided events has found one here; the value grows with every search. */
export const VOIDS_FOUND = 65_534
/** In place of a partition: how many conflicting copies are known here. */
export const CONFLICTS_FOUND = 65_535

/** What a bucket of event time holds has changed. Values of one key only ever grow. */
export interface BucketMark {
  readonly tenant: string
  readonly type: string
  /** Length of the bucket, seconds. */
  readonly span: number
  /** Start of the bucket, seconds since the epoch. */
  readonly bucket: number
  readonly partition: number
  readonly end: number
}

/** The marks of minutes and of the hours around them, whose value is the largest of their minutes'. */
export function bucketMarks(marks: readonly MinuteMark[]): readonly BucketMark[] {
  const hours = new Map<string, BucketMark>()
  const all: BucketMark[] = []
  for (const { tenant, type, minute, partition, end } of marks) {
    const bucket = minute * MINUTE_SECONDS
    all.push({ tenant, type, span: MINUTE_SECONDS, bucket, partition, end })
    const hour = bucket - (bucket % HOUR_SECONDS)
    const key = JSON.stringify([tenant, type, hour, partition])
    const known = hours.get(key)
    if (known === undefined || known.end < end) {
      hours.set(key, { tenant, type, span: HOUR_SECONDS, bucket: hour, partition, end })
    }
  }
  return [...all, ...hours.values()]
}

const COLUMNS = [
  ['tenant', 'LowCardinality(String)'],
  ['type', 'LowCardinality(String)'],
  ['span', 'UInt32'],
  ['bucket', "DateTime('UTC')"],
  ['kp', 'UInt16'],
  ['ko', 'UInt64'],
] as const

/** Durable once it resolves; a minute and its hour of one call become visible together. */
export async function writeMarks(store: UsageStore, marks: readonly BucketMark[]): Promise<void> {
  for (const ofMonth of Map.groupBy(marks, ({ bucket }) => monthOf(bucket)).values()) {
    const rows = new RowWriter()
    for (const mark of ofMonth) {
      rows.reserve(64 + 3 * (mark.tenant.length + mark.type.length))
      rows.string(mark.tenant)
      rows.string(mark.type)
      rows.uint32(mark.span)
      rows.uint32(mark.bucket)
      rows.uint16(mark.partition)
      rows.int64(mark.end)
      rows.endRow()
    }
    await store.insert({ table: 'usage_marks', columns: COLUMNS, chunks: rows.chunks(), rows: rows.rows })
  }
}

function monthOf(seconds: number): number {
  const at = new Date(seconds * 1000)
  return at.getUTCFullYear() * 100 + at.getUTCMonth() + 1
}
