import type { Position } from '../usage/event-log.ts'

/** Positions with the newer ones put over the older ones, ordered by partition. */
export function mergePositions(older: readonly Position[], newer: readonly Position[]): readonly Position[] {
  const offsets = new Map(older.map(({ partition, offset }) => [partition, offset]))
  for (const { partition, offset } of newer) offsets.set(partition, offset)
  return [...offsets]
    .map(([partition, offset]) => ({ partition, offset }))
    .sort((a, b) => a.partition - b.partition)
}
