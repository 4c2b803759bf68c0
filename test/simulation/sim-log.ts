import { instantOf } from '../../src/time/instant.ts'
import type { ConsumeOptions, EventLog, LogRecord, Position } from '../../src/usage/event-log.ts'
import { EVENT_PARTITIONS, TOPIC_EVENTS } from '../../src/usage/topics.ts'
import type { Faults, Protections } from './protections.ts'
import type { Process, World } from './world.ts'

/** Partitions that have events; the others stay empty. */
export const BUSY_PARTITIONS = 3

/** The log as all processes see it. Appending is atomic and durable; what goes wrong is who hears of it. */
export class SimLog {
  readonly records: LogRecord[][] = Array.from({ length: EVENT_PARTITIONS }, () => [])
  readonly committed = new Map<number, number>()
  readonly #world: World
  readonly #faults: Faults
  readonly #protections: Protections

  constructor(world: World, faults: Faults, protections: Protections) {
    this.#world = world
    this.#faults = faults
    this.#protections = protections
  }

  append(partition: number, value: Uint8Array): void {
    const records = this.#of(partition)
    records.push({ offset: records.length, value, appendedAt: instantOf(0) })
  }

  ends(): readonly Position[] {
    return this.records.map((records, partition) => ({ partition, offset: records.length }))
  }

  /** The log as one process uses it, with the partitions that `assigned` says. */
  of(process: Process, assigned: () => readonly number[]): EventLog {
    const step = (): Promise<void> => this.#world.step(process)
    const unused = (): never => {
      throw new Error('the aggregator does not use this')
    }
    return {
      kind: 'memory',
      ensureTopic: unused,
      close: unused,
      append: async (_topic, records) => {
        await step()
        return records.map(({ partition }, offset) => ({ kind: 'appended', partition, offset }))
      },
      endOffsets: async () => this.ends(),
      startOffsets: async () => this.records.map((_, partition) => ({ partition, offset: 0 })),
      read: async (topic, partition, from) => {
        await step()
        return topic === TOPIC_EVENTS ? this.#of(partition).slice(from, from + 5) : []
      },
      committed: async () => [...this.committed].map(([partition, offset]) => ({ partition, offset })),
      consume: async (options) => {
        const readers = new Map<number, Promise<void>>()
        const visit = (): void => {
          for (const partition of assigned()) {
            if (readers.has(partition)) continue
            const isMine = (): boolean => !process.isDead && assigned().includes(partition)
            const reader = this.#read(process, partition, options, isMine)
            readers.set(partition, reader)
            void reader.finally(() => readers.delete(partition))
          }
          this.#world.later(process, visit)
        }
        visit()
        return {
          assigned,
          commit: async (positions) => {
            await step()
            for (const { partition, offset } of positions) {
              if (assigned().includes(partition)) this.committed.set(partition, offset)
            }
          },
          stop: async () => undefined,
        }
      },
    }
  }

  /** One partition, batch after batch, until it is somebody else's. */
  async #read(
    process: Process,
    partition: number,
    options: ConsumeOptions,
    isMine: () => boolean,
  ): Promise<void> {
    const { random } = this.#world
    while (isMine()) {
      try {
        const resumeAt = await options.resumeAt(partition)
        let at = this.#protections.resumesAtJournal ? resumeAt : (this.committed.get(partition) ?? 0)
        // A broker that lost its position, or a client that jumps to the newest record without saying so.
        if (this.#faults.isOn && random.chance(0.1))
          at = Math.min(this.#of(partition).length, at + random.below(3))
        while (isMine()) {
          await this.#world.step(process)
          const records = this.#of(partition).slice(at, at + 1 + random.below(3))
          if (records.length === 0 || !isMine()) continue
          const handled = options.onBatch({ topic: options.topic, partition, records })
          at += records.length
          if (!this.#protections.commitsAfterJournal) this.committed.set(partition, at)
          await handled
          if (this.#faults.isOn && random.chance(0.05)) break // the connection is gone; it is resumed
        }
      } catch {
        // The port says: a rejection delivers from `resumeAt` again. The worker has counted and logged it.
        await this.#world.step(process)
      }
    }
  }

  #of(partition: number): LogRecord[] {
    const records = this.records[partition]
    if (records === undefined) throw new RangeError(`no partition ${partition}`)
    return records
  }
}
