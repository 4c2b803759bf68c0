import { open } from 'lmdb'
import type { Position } from '../../usage/event-log.ts'
import { mergePositions } from '../committed-positions.ts'

/** Committed positions of groups. They are hints for lag tools; still they are synced, once a commit. */
export interface PositionStore {
  of(topic: string, group: string): readonly Position[]
  commit(topic: string, group: string, positions: readonly Position[]): Promise<void>
  close(): Promise<void>
}

export function openPositionStore(file: string): PositionStore {
  const database = open<readonly Position[], string[]>({
    path: file,
    noSubdir: true,
    overlappingSync: false,
    eventTurnBatching: false,
    maxDbs: 1,
  })
  const of = (topic: string, group: string): readonly Position[] => database.get([topic, group]) ?? []
  let last = Promise.resolve()
  return {
    of,
    async commit(topic, group, positions) {
      if (positions.length === 0) return
      // One after another, so that two commits of a group do not both start from the same older positions.
      const mine = last.then(() =>
        database.batch(() => database.put([topic, group], mergePositions(of(topic, group), positions))),
      )
      last = mine.then(
        () => undefined,
        () => undefined, // the one who committed is told
      )
      await mine
    },
    async close() {
      await last
      await database.close()
    },
  }
}
