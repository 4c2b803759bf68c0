import kafkajs from 'kafkajs'
import type { BrokerConnection } from './broker-connection.ts'
import type { Cluster } from './cluster.ts'
import { brokerFault, KafkaFault } from './kafka-fault.ts'

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol

/** The name that other clients use for it; the leader of a group assigns, the others only have to know the name. */
const PROTOCOL_NAME = 'roundrobin'
const MEMBER_ID_REQUIRED = 79

export interface Membership {
  readonly memberId: string
  readonly generationId: number
  /** Partitions of the topic that this member has. */
  readonly partitions: readonly number[]
}

/** The coordinator of the group, on a connection of the purpose. @throws KafkaFault */
export async function coordinatorOf(
  cluster: Cluster,
  group: string,
  purpose: string,
): Promise<BrokerConnection> {
  const { errorCode, coordinator } = await cluster.askAny('GroupCoordinator', { groupId: group })
  if (errorCode !== 0) throw brokerFault(`coordinator of ${group}`, errorCode)
  try {
    return await cluster.connection(coordinator.nodeId, purpose)
  } catch (error) {
    // A broker that came after we looked.
    if (error instanceof KafkaFault) await cluster.metadata([])
    throw error
  }
}

/**
 * Joins the group and learns the partitions. As the leader of the group it hands them out.
 * @throws KafkaFault with the code that the coordinator answered
 */
export async function join(
  cluster: Cluster,
  coordinator: BrokerConnection,
  group: string,
  topic: string,
  knownMemberId: string,
): Promise<Membership> {
  const { sessionMsMax, rebalanceMsMax } = cluster.settings
  const ask = (memberId: string): ReturnType<typeof coordinator.call<'JoinGroup'>> =>
    coordinator.call('JoinGroup', {
      groupId: group,
      sessionTimeout: sessionMsMax,
      rebalanceTimeout: rebalanceMsMax,
      memberId,
      protocolType: 'consumer',
      groupProtocols: [
        {
          name: PROTOCOL_NAME,
          metadata: MemberMetadata.encode({ version: 0, topics: [topic], userData: Buffer.alloc(0) }),
        },
      ],
    })
  let joined = await ask(knownMemberId)
  if (joined.errorCode === MEMBER_ID_REQUIRED) joined = await ask(joined.memberId)
  if (joined.errorCode !== 0) throw brokerFault(`joining ${group}`, joined.errorCode)
  const { memberId, generationId } = joined
  const groupAssignment =
    joined.leaderId === memberId ? await assignAll(cluster, joined.members.map(memberOf)) : []
  const synced = await coordinator.call('SyncGroup', {
    groupId: group,
    generationId,
    memberId,
    groupAssignment,
  })
  if (synced.errorCode !== 0) throw brokerFault(`joining ${group}`, synced.errorCode)
  const assigned = MemberAssignment.decode(synced.memberAssignment)?.assignment[topic] ?? []
  return { memberId, generationId, partitions: [...assigned].sort((a, b) => a - b) }
}

interface Member {
  readonly memberId: string
  readonly topics: readonly string[]
}

function memberOf(member: { readonly memberId: string; readonly memberMetadata: Buffer }): Member {
  const metadata = MemberMetadata.decode(member.memberMetadata)
  return { memberId: member.memberId, topics: metadata?.topics ?? [] }
}

async function assignAll(
  cluster: Cluster,
  members: readonly Member[],
): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
  const partitions = new Map<string, number>()
  for (const topic of new Set(members.flatMap(({ topics }) => topics))) {
    partitions.set(topic, await cluster.partitions(topic))
  }
  return [...assign(members, partitions)].map(([memberId, assignment]) => ({
    memberId,
    memberAssignment: MemberAssignment.encode({ version: 0, assignment, userData: Buffer.alloc(0) }),
  }))
}

/** Deals the partitions of each topic to the members that want it, in the order of their ids. */
export function assign(
  members: readonly Member[],
  partitions: ReadonlyMap<string, number>,
): ReadonlyMap<string, Record<string, number[]>> {
  const assignments = new Map<string, Record<string, number[]>>()
  for (const { memberId } of members) assignments.set(memberId, {})
  for (const [topic, count] of partitions) {
    const takers = members
      .filter(({ topics }) => topics.includes(topic))
      .map(({ memberId }) => memberId)
      .sort()
    for (let partition = 0; partition < count; partition++) {
      const assignment = assignments.get(takers[partition % takers.length] ?? '')
      if (assignment !== undefined) (assignment[topic] ??= []).push(partition)
    }
  }
  return assignments
}
