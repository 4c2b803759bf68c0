import type { PackWalker } from '../usage/pack-walker.ts'
import type { RowWriter } from './row-binary.ts'

/** The columns of `usage_events` in the order in which a row's bytes stand. */
export const EVENT_COLUMNS = [
  ['tenant', 'LowCardinality(String)'],
  ['source', 'LowCardinality(String)'],
  ['id', 'String'],
  ['type', 'LowCardinality(String)'],
  ['subject', 'String'],
  ['ts', "DateTime64(3, 'UTC')"],
  ['props', 'Map(LowCardinality(String), String)'],
  ['tp', 'UInt16'],
  ['kp', 'UInt16'],
  ['ko', 'UInt64'],
  ['ki', 'UInt16'],
  ['ver', 'UInt64'],
  ['ingested_at', "DateTime64(3, 'UTC')"],
] as const

/** The version keeps 40 bits of the offset; at a million records a second they last 12 days short of 13 years a partition. */
const OFFSET_MAX = 2 ** 40 - 1

/**
 * I4: the row is a function of the record's bytes and coordinate alone. `ver` is the inverse coordinate, so the
 * smallest coordinate of equal keys is the newest version to the engine.
 */
export function writeEventRow(
  row: RowWriter,
  event: PackWalker,
  epoch: number,
  partition: number,
  offset: number,
): void {
  if (offset > OFFSET_MAX) throw new RangeError(`offset ${offset} does not fit the row version`)
  const { bytes, properties, propertyCount } = event
  // Every byte of the row is a byte of the pack, but for five more per length and the fixed columns.
  const last = propertyCount === 0 ? event.subjectEnd : (properties[4 * propertyCount - 1] ?? 0)
  row.reserve(last - event.tenantStart + 10 * propertyCount + 128)
  row.text(bytes, event.tenantStart, event.tenantEnd)
  row.text(bytes, event.sourceStart, event.sourceEnd)
  row.text(bytes, event.idStart, event.idEnd)
  row.text(bytes, event.typeStart, event.typeEnd)
  row.text(bytes, event.subjectStart, event.subjectEnd)
  row.int64(event.timeMs)
  row.count(propertyCount)
  for (let i = 0; i < 4 * propertyCount; i += 4) {
    row.text(bytes, properties[i] ?? 0, properties[i + 1] ?? 0)
    row.text(bytes, properties[i + 2] ?? 0, properties[i + 3] ?? 0)
  }
  row.uint16(epoch)
  row.uint16(partition)
  row.int64(offset)
  row.uint16(event.index)
  const high = epoch * 0x100_0000 + Math.floor(offset / 0x1_0000)
  const low = (offset % 0x1_0000) * 0x1_0000 + event.index
  row.uint64Halves(0xffff_ffff - low, 0xffff_ffff - high)
  row.int64(event.ingestedAtMs)
  row.endRow()
}
