import type { Clock } from '../../time/clock.ts'
import type { ConsumeOptions, LogConsumer, Position } from '../../usage/event-log.ts'
import type { ConsumerLag, LogMetrics } from '../../usage/log-metrics.ts'
import type { LogLogger } from '../ports.ts'
import type { LocalTopic } from './local-topic.ts'
import { startPartitionReader, type PartitionReader } from './partition-reader.ts'

export interface ConsumerGroupsDeps {
  readonly clock: Clock
  readonly metrics: LogMetrics
  readonly logger: LogLogger
  readonly retryPauseMs: number
  /** Remembers positions of a group. */
  readonly commit: (topic: LocalTopic, group: string, positions: readonly Position[]) => Promise<void>
}

/** Hands the partitions of topics to the consumers of this process. */
export interface ConsumerGroups {
  join(topic: LocalTopic, options: ConsumeOptions): Promise<LogConsumer>
  lag(): readonly ConsumerLag[]
  /** Stops every consumer. */
  stopAll(): Promise<void>
}

interface Member {
  readonly options: ConsumeOptions
  readonly readers: Map<number, PartitionReader>
  /** Takes no partitions any more. */
  isLeaving: boolean
}

interface Group {
  readonly topic: LocalTopic
  readonly members: Set<Member>
  /** Partitions are handed out one round after another. */
  settled: Promise<void>
}

/**
 * Consumer groups within one process. A partition moves to another member only after the handler of the one
 * that had it has finished, so there are no zombies here; on Kafka there are, and handlers must bear them.
 */
export function createConsumerGroups(deps: ConsumerGroupsDeps): ConsumerGroups {
  const groups = new Map<string, Group>()

  function handOut(group: Group): Promise<void> {
    group.settled = group.settled.then(() => handOutOnce(group))
    return group.settled
  }

  async function handOutOnce(group: Group): Promise<void> {
    const takers = [...group.members].filter((member) => !member.isLeaving)
    const ownerOf = (partition: number): Member | undefined => takers[partition % takers.length]
    await Promise.all(
      [...group.members].flatMap((member) =>
        [...member.readers]
          .filter(([partition]) => ownerOf(partition) !== member)
          .map(async ([partition, reader]) => {
            await reader.stop()
            member.readers.delete(partition)
          }),
      ),
    )
    for (let partition = 0; partition < group.topic.partitions; partition++) {
      const owner = ownerOf(partition)
      if (owner === undefined || owner.readers.has(partition)) continue
      owner.readers.set(partition, startReader(group, owner, partition))
    }
    for (const member of takers) deps.metrics.rebalanced(member.options.group)
  }

  function startReader(group: Group, member: Member, partition: number): PartitionReader {
    return startPartitionReader({
      topic: group.topic,
      partition,
      options: member.options,
      clock: deps.clock,
      metrics: deps.metrics,
      logger: deps.logger,
      retryPauseMs: deps.retryPauseMs,
      onFatal: (error) => {
        if (member.isLeaving) return
        void leave(group, member)
        member.options.onFatal(error)
      },
    })
  }

  async function leave(group: Group, member: Member): Promise<void> {
    member.isLeaving = true
    await handOut(group)
    group.members.delete(member)
  }

  return {
    async join(topic, options) {
      const key = `${topic.name} ${options.group}`
      const group = groups.get(key) ?? { topic, members: new Set(), settled: Promise.resolve() }
      groups.set(key, group)
      const member: Member = { options, readers: new Map(), isLeaving: false }
      group.members.add(member)
      await handOut(group)
      return {
        assigned: () => [...member.readers.keys()].sort((a, b) => a - b),
        commit: (positions) =>
          deps.commit(
            topic,
            options.group,
            positions.filter(({ partition }) => member.readers.has(partition)),
          ),
        stop: () => leave(group, member),
      }
    },
    lag: () =>
      [...groups.values()].flatMap((group) =>
        [...group.members].flatMap((member) => [...member.readers.values()].map((reader) => reader.lag())),
      ),
    async stopAll() {
      await Promise.all(
        [...groups.values()].flatMap((group) => [...group.members].map((member) => leave(group, member))),
      )
      groups.clear()
    },
  }
}
