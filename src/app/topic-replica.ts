import type { EventLog, LogConsumer } from '../usage/event-log.ts'

export interface TopicReplica {
  /** Resolves when everything before `offset` of the topic has been applied here. */
  whenApplied(offset: number): Promise<void>
  /** The offset of the record that is applied next. */
  applied(): number
  stop(): Promise<void>
}

export interface TopicReplicaOptions {
  readonly log: EventLog
  readonly topic: string
  /** Names this process: every replica reads the whole topic, so each is a group of its own. */
  readonly instance: string
  /** The state as the database has it now. Read after the topic's end was noted, so nothing falls between the two. */
  readonly snapshot: () => Promise<void>
  /** Applies one record. Must be indifferent to order and repetition. */
  readonly apply: (value: Uint8Array) => void
  /** Told after records were applied. */
  readonly onApplied?: () => void
  readonly onFatal: (error: Error) => void
}

/** Keeps a state in memory that others publish on a topic of one partition: snapshot first, then the topic's tail. */
export async function startTopicReplica(options: TopicReplicaOptions): Promise<TopicReplica> {
  const { log, topic } = options
  const from = (await log.endOffsets(topic))[0]?.offset ?? 0
  await options.snapshot()
  let applied = from
  const waiting = new Set<{ readonly offset: number; readonly resolve: () => void }>()
  const consumer: LogConsumer = await log.consume({
    topic,
    group: `tallyman.${topic}.${options.instance}`,
    resumeAt: async () => applied,
    onBatch: async (batch) => {
      for (const record of batch.records) {
        options.apply(record.value)
        applied = record.offset + 1
      }
      options.onApplied?.()
      for (const waiter of waiting) {
        if (waiter.offset > applied) continue
        waiting.delete(waiter)
        waiter.resolve()
      }
    },
    onFatal: options.onFatal,
  })
  return {
    whenApplied: (offset) =>
      applied >= offset
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting.add({ offset, resolve })
          }),
    applied: () => applied,
    stop: () => consumer.stop(),
  }
}
