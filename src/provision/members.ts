import type { EventLog } from '../usage/event-log.ts'
import { STALE_MS_MAX } from './freshness.ts'

/** Who holds a replica of the keys, and up to which offset of `key.state.v1` it has applied them. One partition. */
const TOPIC_GATE_MEMBERS = 'gate.members.v1'

interface Announcement {
  readonly member: string
  readonly offset: number
  readonly isLeaving: boolean
}

export interface GateMembers {
  /** Tells the others what has been applied here; call it after applying, as often as you like. */
  announce(): void
  /**
   * Resolves `applied` when every member has applied everything before the offset, or was not heard of for longer
   * than it may go on deciding without fresh knowledge; `late` when the limit is over first.
   */
  whenAppliedEverywhere(offset: number, limitMs: number): Promise<'applied' | 'late'>
  members(): readonly { readonly member: string; readonly offset: number; readonly silentMs: number }[]
  stop(): Promise<void>
}

export interface GateMembersDeps {
  readonly log: EventLog
  /** Unique among the processes, over their lives. */
  readonly member: string
  /** The next offset of `key.state.v1` that will be applied here. */
  readonly applied: () => number
  readonly monotonicMs: () => number
  readonly onFatal: (error: Error) => void
  /** Told of announcements that could not be written; the next one makes up for them. */
  readonly onFault: (error: unknown) => void
  readonly heartbeatMs?: number
  readonly lapseMs?: number
}

const HEARTBEAT_MS = 1_000
/** A member that is silent for longer has been refusing for a while: its own knowledge went stale before. */
const LAPSE_MS = STALE_MS_MAX + 2_000

/**
 * Makes revocation synchronous. Members announce on a topic what they have applied; a member that cannot announce
 * cannot read the keys' topic either, so its own staleness stops it before its membership lapses.
 */
export async function startGateMembers(deps: GateMembersDeps): Promise<GateMembers> {
  const { log, member, applied, monotonicMs, heartbeatMs = HEARTBEAT_MS, lapseMs = LAPSE_MS } = deps
  await log.ensureTopic({ name: TOPIC_GATE_MEMBERS, partitions: 1, retentionMs: 7 * 86_400_000 })
  const heard = new Map<string, { offset: number; atMs: number }>()
  const waiting = new Set<() => void>()
  let announced = -1
  let writing: Promise<void> | null = null

  const write = async (isLeaving: boolean): Promise<void> => {
    const offset = applied()
    const announcement: Announcement = { member, offset, isLeaving }
    const [outcome] = await log.append(TOPIC_GATE_MEMBERS, [
      { partition: 0, value: Buffer.from(JSON.stringify(announcement)) },
    ])
    if (outcome?.kind === 'appended') announced = offset
    else throw new Error(outcome?.reason ?? 'the log gave no answer')
  }
  /** One announcement at a time; what was applied meanwhile is in the next. */
  const announce = (isHeartbeat: boolean): void => {
    if (writing !== null || (!isHeartbeat && applied() === announced)) return
    writing = write(false)
      .catch(deps.onFault)
      .then(() => {
        writing = null
        if (announced !== -1 && applied() > announced) announce(false)
      })
  }

  const [start] = await log.endOffsets(TOPIC_GATE_MEMBERS)
  let next = Math.max(0, (start?.offset ?? 0) - HISTORY_RECORDS)
  const [oldest] = await log.startOffsets(TOPIC_GATE_MEMBERS)
  next = Math.max(next, oldest?.offset ?? 0)
  const consumer = await log.consume({
    topic: TOPIC_GATE_MEMBERS,
    group: `tallyman.${TOPIC_GATE_MEMBERS}.${member}`,
    resumeAt: async () => next,
    onBatch: async ({ records }) => {
      for (const { value, offset } of records) {
        const told = JSON.parse(new TextDecoder().decode(value)) as Announcement
        if (told.isLeaving) heard.delete(told.member)
        else heard.set(told.member, { offset: told.offset, atMs: monotonicMs() })
        next = offset + 1
      }
      for (const look of waiting) look()
    },
    onFatal: deps.onFatal,
  })
  await write(false)
  const timer = setInterval(() => {
    announce(true)
    // Silence makes no record: who waits for a lapse looks at every beat.
    for (const look of waiting) look()
  }, heartbeatMs)

  const isAppliedEverywhere = (offset: number): boolean =>
    applied() >= offset &&
    [...heard].every(
      ([name, { offset: reached, atMs }]) =>
        name === member || reached >= offset || monotonicMs() - atMs > lapseMs,
    )

  return {
    announce: () => announce(false),
    whenAppliedEverywhere(offset, limitMs) {
      if (isAppliedEverywhere(offset)) return Promise.resolve('applied')
      const { promise, resolve } = Promise.withResolvers<'applied' | 'late'>()
      const look = (): void => {
        if (isAppliedEverywhere(offset)) resolve('applied')
      }
      const limit = setTimeout(() => resolve('late'), limitMs)
      waiting.add(look)
      return promise.finally(() => {
        waiting.delete(look)
        clearTimeout(limit)
      })
    },
    members: () =>
      [...heard].map(([name, { offset, atMs }]) => ({
        member: name,
        offset,
        silentMs: monotonicMs() - atMs,
      })),
    async stop() {
      clearInterval(timer)
      await writing
      await write(true).catch(deps.onFault)
      await consumer.stop()
    },
  }
}

/** So many announcements back a new member reads, to know of the others before they beat again. */
const HISTORY_RECORDS = 1_000
