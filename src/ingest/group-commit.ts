import type { Clock } from '../time/clock.ts'
import type { AppendOutcome, EventLog } from '../usage/event-log.ts'
import { PackEncoder } from '../usage/pack-encoder.ts'
import type { IngestMetrics } from './ports.ts'
import { Pack } from './pack.ts'

/** Packs are closed at these bounds, so that with one more event they stay below the 512 KiB of a record. */
const PACK_EVENTS_MAX = 1000
const PACK_BYTES_MAX = 393_216
/**
 * Where an append takes this long, the clients that it answers are back before the next should go: half of them would
 * miss it and wait for two. Large groups go at once.
 */
const SLOW_APPEND_MS = 1
const LINGER_MS = 1
const LINGER_EVENTS_MAX = 1000
/** Encoders kept for reuse, per partition; more were needed only by a backlog that has passed. */
const SPARE_ENCODERS_MAX = 3

/** The packs that go to the log together. Partitions are bits of a mask: at most 31. */
export interface Group {
  readonly packs: (Pack | undefined)[]
  readonly waiters: Waiter[]
}

interface Waiter {
  readonly partitions: number
  readonly resolve: (isDurable: boolean) => void
}

export interface GroupCommit {
  /** The open pack of the partition, with room for one more event. Whatever is written there will be appended. */
  openPack(partition: number): Pack
  /** The group that open packs belong to at the moment. */
  openGroup(): Group
  /** The group of a pack that is not durable yet; undefined once it has settled. */
  groupOf(pack: Pack): Group | undefined
  /** True once the packs of the partitions (a bit each) in the group are durable; false when one of them failed. */
  durable(group: Group, partitions: number): Promise<boolean>
}

export interface GroupCommitDeps {
  readonly log: Pick<EventLog, 'append'>
  readonly topic: string
  readonly partitions: number
  readonly clock: Clock
  readonly metrics: Pick<IngestMetrics, 'appended'>
  /** Some record is not on the log, or nobody knows. Called before any waiter is answered. */
  readonly onFailed: (reason: unknown) => void
  /** Milliseconds of a clock that never jumps; performance.now where absent. */
  readonly monotonicMs?: () => number
  /** Calls back after a pause; setTimeout where absent. */
  readonly pause?: (resume: () => void, ms: number) => void
}

/**
 * One append in flight. While it is under way packs fill; when it is durable the next group goes, and an idle log is
 * written at once, at the end of the event loop's turn. A fixed linger would cap the rate of clients that wait; only
 * behind a slow append a small group waits 1 ms for those who were just answered.
 */
export function createGroupCommit(deps: GroupCommitDeps): GroupCommit {
  const { log, topic, partitions, clock, metrics, onFailed } = deps
  const monotonicMs = deps.monotonicMs ?? (() => performance.now())
  const pause = deps.pause ?? ((resume, ms) => void setTimeout(resume, ms))
  if (partitions > 31) throw new RangeError('a group counts its partitions in 31 bits')
  const full: Group[] = []
  const spareEncoders: PackEncoder[] = []
  let open = emptyGroup(partitions)
  let inFlight: Group | null = null
  let isScheduled = false

  function schedule(): void {
    if (isScheduled || inFlight !== null) return
    isScheduled = true
    setImmediate(appendScheduled)
  }

  function appendScheduled(): void {
    isScheduled = false
    appendNext()
  }

  /** After an append: at once, or after the pause. */
  function goOn(appendMs: number): void {
    if (appendMs < SLOW_APPEND_MS || full.length > 0 || eventsOf(open) >= LINGER_EVENTS_MAX) {
      appendNext()
      return
    }
    isScheduled = true
    pause(appendScheduled, LINGER_MS)
  }

  function appendNext(): void {
    let group = full.shift()
    if (group === undefined) {
      if (open.packs.every((pack) => pack === undefined)) return
      group = open
      open = emptyGroup(partitions)
    }
    inFlight = group
    void append(group)
  }

  async function append(group: Group): Promise<void> {
    const startedMs = monotonicMs()
    const ingestedAt = clock.now()
    // A pack stays empty when the only events meant for it were rejected.
    const packs = group.packs.filter((pack) => pack !== undefined && pack.encoder.count > 0) as Pack[]
    let bytes = 0
    const records = packs.map((pack) => {
      const { record, encoder } = pack.close(ingestedAt)
      encoder.reset()
      if (spareEncoders.length < SPARE_ENCODERS_MAX * partitions) spareEncoders.push(encoder)
      bytes += record.length
      return { partition: pack.partition, value: record }
    })
    let outcomes: readonly AppendOutcome[] = []
    let failure: unknown = null
    try {
      if (records.length > 0) outcomes = await log.append(topic, records)
    } catch (error) {
      failure = error
    }
    let failedPartitions = 0
    let failedRecords = 0
    for (const [i, pack] of packs.entries()) {
      const outcome = outcomes[i]
      if (outcome?.kind === 'appended') pack.offset = outcome.offset
      else {
        failedPartitions |= 1 << pack.partition
        failedRecords++
        failure ??= outcome?.reason ?? 'the log gave no outcome for a record'
      }
    }
    const appendMs = monotonicMs() - startedMs
    if (packs.length > 0) {
      metrics.appended({ seconds: appendMs / 1000, records: packs.length, bytes, failedRecords })
    }
    if (failure !== null) onFailed(failure)
    inFlight = null
    goOn(appendMs)
    for (const waiter of group.waiters) waiter.resolve((waiter.partitions & failedPartitions) === 0)
  }

  return {
    openGroup: () => open,
    openPack(partition) {
      const current = open.packs[partition]
      if (current !== undefined) {
        const { count, byteLength } = current.encoder
        if (count < PACK_EVENTS_MAX && byteLength < PACK_BYTES_MAX) return current
        full.push(open)
        open = emptyGroup(partitions)
      }
      const pack = new Pack(partition, spareEncoders.pop() ?? new PackEncoder())
      open.packs[partition] = pack
      schedule()
      return pack
    },
    groupOf(pack) {
      const isOf = (group: Group | null): group is Group => group?.packs[pack.partition] === pack
      if (isOf(open)) return open
      return isOf(inFlight) ? inFlight : full.find(isOf)
    },
    durable(group, mask) {
      return new Promise((resolve) => group.waiters.push({ partitions: mask, resolve }))
    },
  }
}

function eventsOf({ packs }: Group): number {
  let events = 0
  for (const pack of packs) events += pack?.encoder.count ?? 0
  return events
}

function emptyGroup(partitions: number): Group {
  return { packs: new Array<Pack | undefined>(partitions).fill(undefined), waiters: [] }
}
