/**
 * Where an event stands on the log. The first coordinate of an identity decides which copy counts:
 * smaller (epoch, partition, offset, index) wins, for ever and everywhere.
 */
export interface Coordinate {
  readonly epoch: number
  readonly partition: number
  /** Offset of the log record. */
  readonly offset: number
  /** Position of the event within the record's pack. */
  readonly index: number
}

/** The end of a partition: every record with a smaller offset lies before it. */
interface PartitionEnd {
  readonly partition: number
  readonly offset: number
}

/** The log's end offsets at one moment. An invoice stores the cut at which it closed. */
export type Cut = readonly PartitionEnd[]

/** True when everything before `wanted` is also before `reached`. A partition that is missing stands at 0. */
export function covers(reached: Cut, wanted: Cut): boolean {
  const ends = new Map(reached.map((end) => [end.partition, end.offset]))
  return wanted.every((end) => (ends.get(end.partition) ?? 0) >= end.offset)
}
