import type { AppendOutcome, AppendRecord } from '../../usage/event-log.ts'
import { RECORD_OVERHEAD_BYTES, WIRE_BATCH_BYTES_MAX } from './settings.ts'

/** One call of `append` that waits for its outcomes. */
export interface PendingAppend {
  readonly topic: string
  readonly outcomes: AppendOutcome[]
  left: number
  readonly resolve: (outcomes: readonly AppendOutcome[]) => void
}

/** Records of one append for one partition that go in one batch, all or none. */
export interface AppendPart {
  readonly append: PendingAppend
  readonly partition: number
  /** Where each record stood in the append. */
  readonly indexes: number[]
  readonly messages: { readonly key: null; readonly value: Buffer }[]
  bytes: number
}

/** The parts of an append, in order within a partition; a part is no larger than a batch may be. */
export function splitAppend(append: PendingAppend, records: readonly AppendRecord[]): readonly AppendPart[] {
  const parts: AppendPart[] = []
  const open = new Map<number, AppendPart>()
  for (const [index, { partition, value }] of records.entries()) {
    const bytes = value.length + RECORD_OVERHEAD_BYTES
    let part = open.get(partition)
    if (part === undefined || part.bytes + bytes > WIRE_BATCH_BYTES_MAX) {
      part = { append, partition, indexes: [], messages: [], bytes: 0 }
      open.set(partition, part)
      parts.push(part)
    }
    part.indexes.push(index)
    part.messages.push({ key: null, value: Buffer.from(value.buffer, value.byteOffset, value.length) })
    part.bytes += bytes
  }
  return parts
}

/** `outcomeOf` is given the position within the part. The append resolves with its last part. */
export function settlePart(part: AppendPart, outcomeOf: (position: number) => AppendOutcome): void {
  const { append, indexes } = part
  for (const [position, index] of indexes.entries()) append.outcomes[index] = outcomeOf(position)
  append.left -= indexes.length
  if (append.left === 0) append.resolve(append.outcomes)
}
