import type { Position } from '../../usage/event-log.ts'
import type { Cluster } from './cluster.ts'
import { coordinatorOf } from './group-protocol.ts'
import { brokerFault } from './kafka-fault.ts'
import { askAgain } from './retrying.ts'

/** What the group has committed, ordered by partition. @throws LogError `unknownTopic`, `unavailable`, `closed` */
export async function committedPositions(
  cluster: Cluster,
  topic: string,
  group: string,
): Promise<readonly Position[]> {
  const count = await cluster.partitions(topic)
  const partitions = Array.from({ length: count }, (_, partition) => ({ partition }))
  return askAgain(`reading the positions of ${group}`, cluster.settings.askMsMax, async () => {
    const coordinator = await coordinatorOf(cluster, group, 'read')
    const answer = await coordinator.call('OffsetFetch', { groupId: group, topics: [{ topic, partitions }] })
    if (answer.errorCode !== 0) throw brokerFault(`positions of ${group}`, answer.errorCode)
    const positions: Position[] = []
    for (const { partition, offset, errorCode } of answer.responses.flatMap((each) => each.partitions)) {
      if (errorCode !== 0) throw brokerFault(`positions of ${group}`, errorCode)
      if (Number(offset) >= 0) positions.push({ partition, offset: Number(offset) })
    }
    return positions.sort((a, b) => a.partition - b.partition)
  })
}
