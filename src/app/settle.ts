import type { OutboxRelay } from '../database/outbox.ts'
import type { TopicReplica } from './topic-replica.ts'

/**
 * What write routes await after their transaction: the messages are on the log and this process has applied them.
 * So whoever made a key can use it with the next request.
 */
export function createSettle(
  relay: Pick<OutboxRelay, 'flush'>,
  replicas: ReadonlyMap<string, Pick<TopicReplica, 'whenApplied'>>,
): () => Promise<void> {
  return async () => {
    const ends = await relay.flush()
    await Promise.all([...replicas].map(([topic, replica]) => replica.whenApplied(ends.get(topic) ?? 0)))
  }
}
