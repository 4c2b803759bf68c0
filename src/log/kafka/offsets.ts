import type { Position } from '../../usage/event-log.ts'
import type { Cluster } from './cluster.ts'
import { brokerFault, KafkaFault } from './kafka-fault.ts'
import { askAgain } from './retrying.ts'

const READ_UNCOMMITTED = 0
const EDGE = { start: -2, end: -1 } as const

/**
 * The first offset of every partition, or the one after the last that all in-sync replicas have.
 * @throws LogError `unknownTopic`, `unavailable`, `closed`
 */
export async function edgeOffsets(
  cluster: Cluster,
  topic: string,
  edge: keyof typeof EDGE,
): Promise<readonly Position[]> {
  return askAgain(`reading the ${edge} of ${topic}`, cluster.settings.askMsMax, async () => {
    const partitions = await cluster.partitions(topic)
    const byLeader = new Map<number, number[]>()
    for (let partition = 0; partition < partitions; partition++) {
      const leader = await cluster.leader(topic, partition)
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), partition])
    }
    try {
      const found = await Promise.all(
        [...byLeader].map(([leader, led]) => askLeader(cluster, leader, topic, led, EDGE[edge])),
      )
      return found.flat().sort((a, b) => a.partition - b.partition)
    } catch (error) {
      if (error instanceof KafkaFault && error.isStale) cluster.forget(topic)
      throw error
    }
  })
}

async function askLeader(
  cluster: Cluster,
  leader: number,
  topic: string,
  partitions: readonly number[],
  timestamp: number,
): Promise<readonly Position[]> {
  const connection = await cluster.connection(leader, 'read')
  const { responses } = await connection.call('ListOffsets', {
    isolationLevel: READ_UNCOMMITTED,
    topics: [{ topic, partitions: partitions.map((partition) => ({ partition, timestamp })) }],
  })
  const answered = new Map(
    responses.flatMap((response) => response.partitions).map((each) => [each.partition, each]),
  )
  return partitions.map((partition) => {
    const answer = answered.get(partition)
    if (answer === undefined || answer.errorCode !== 0) {
      throw brokerFault(`${topic} partition ${partition}`, answer?.errorCode ?? -1)
    }
    return { partition, offset: Number(answer.offset) }
  })
}
