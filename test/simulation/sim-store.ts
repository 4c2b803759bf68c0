import { type CopyRow, conflictsAmong } from '../../src/aggregate/conflict-rows.ts'
import type { MonthRows } from '../../src/aggregate/flush-buffer.ts'
import { journalOf, type PartitionJournal, type RecordRange } from '../../src/aggregate/journal.ts'
import type { UsageSink } from '../../src/aggregate/sink.ts'
import { MINUTE_MS } from '../../src/aggregate/touched.ts'
import type { Cut } from '../../src/usage/coordinate.ts'
import { EVENT_PARTITIONS } from '../../src/usage/topics.ts'
import type { Faults, Protections } from './protections.ts'
import { readRows, type SimRow } from './row-binary-reader.ts'
import type { Process, World } from './world.ts'

/** One acknowledged or lost write; all or nothing. */
interface Write {
  readonly rows: readonly SimRow[]
  readonly ranges: readonly RecordRange[]
  readonly isSynced: boolean
}

/** The usage store as all processes see it: a list of writes, of which a power loss takes those that are not synced. */
export class SimStore {
  /** Grows with every change. */
  version = 0
  #journal: readonly PartitionJournal[] | null = null
  #writes: Write[] = []
  readonly #world: World
  readonly #faults: Faults
  readonly #protections: Protections

  constructor(world: World, faults: Faults, protections: Protections) {
    this.#world = world
    this.#faults = faults
    this.#protections = protections
  }

  loseUnsynced(): void {
    this.#writes = this.#writes
      .filter(({ isSynced }) => isSynced || this.#world.random.chance(0.3))
      .map((write) => ({ ...write, isSynced: true }))
    this.#changed()
  }

  #changed(): void {
    this.version++
    this.#journal = null
  }

  journal(): readonly PartitionJournal[] {
    return (this.#journal ??= this.#readJournal())
  }

  #readJournal(): readonly PartitionJournal[] {
    const ranges = this.#writes.flatMap((write) => write.ranges)
    return Array.from({ length: EVENT_PARTITIONS }, (_, partition) =>
      journalOf(
        partition,
        ranges.filter((range) => range.partition === partition),
      ),
    )
  }

  /** Rows as the table has them, equal keys united. */
  rows(): readonly SimRow[] {
    const all = this.#writes.flatMap((write) => write.rows)
    if (!this.#protections.unitesKeys) return all
    const byKey = new Map<string, SimRow>()
    for (const row of all) {
      const key = JSON.stringify([
        row.type,
        Math.floor(row.timeMs / MINUTE_MS),
        row.subject,
        row.source,
        row.id,
      ])
      const known = byKey.get(key)
      // The engine keeps the highest version, which the production code made from the coordinate.
      const wins = known === undefined || (this.#protections.firstWins ? row.version > known.version : true)
      if (wins) byKey.set(key, row)
    }
    return [...byKey.values()]
  }

  /** What counts before a cut: the production rule on the rows. */
  canonical(cut: Cut): readonly SimRow[] {
    const ends = new Map(cut.map(({ partition, offset }) => [partition, offset]))
    const before = this.rows().filter((row) => row.offset < (ends.get(row.partition) ?? 0))
    const losing = new Set<CopyRow>()
    for (const copies of Map.groupBy(before, ({ source, id }) => `${source} ${id}`).values()) {
      if (!this.#protections.unitesKeys) continue
      for (const { copy } of conflictsAmong(copies)) losing.add(copy)
    }
    return before.filter((row) => !losing.has(row))
  }

  /** The production sink's port for one process. */
  of(process: Process): UsageSink {
    const late: (() => void)[] = []
    const write = async (rows: readonly SimRow[], ranges: readonly RecordRange[]): Promise<void> => {
      const { random } = this.#world
      await this.#world.step(process)
      const fails = (share: number): boolean => this.#faults.isOn && random.chance(share)
      if (this.#faults.noSpace || fails(0.08)) {
        if (this.#protections.repeatsFailedWrites) throw new Error('nothing was written')
        return
      }
      // The engine shows a part when it is synced, where that is switched on.
      if (this.#protections.syncsWrites) await this.#world.step(process)
      this.#writes.push({ rows, ranges, isSynced: this.#protections.syncsWrites })
      this.#changed()
      await this.#world.step(process)
      if (fails(0.08)) throw new Error('written, but nobody heard of it')
    }
    return {
      writeEvents: async (month: MonthRows) => {
        const rows = readRows(month.writer.chunks())
        if (this.#protections.journalAfterRows) return write(rows, [])
        late.push(() => void write(rows, []).catch(() => undefined))
      },
      writeConflicts: async () => this.#world.step(process),
      writeMarks: async () => this.#world.step(process),
      writeJournal: async (ranges) => {
        await write([], ranges)
        for (const task of late.splice(0)) task()
      },
      readJournal: async () => {
        await this.#world.step(process)
        return this.journal()
      },
    }
  }
}
