import { LogError } from '../../usage/event-log.ts'
import { Cluster, type ClusterMetadata } from './cluster.ts'
import { brokerFault, KafkaFault, messageOf } from './kafka-fault.ts'
import { askAgain } from './retrying.ts'
import { KAFKA_LOG_SETTINGS } from './settings.ts'
import { findTopic, topicSettings } from './topics.ts'
import { type Check, judgeTopic } from './topic-settings.ts'

const RESOURCE_BROKER = 4
/** A person waits for the answer. */
const DOCTOR_MS_MAX = 3000
const OFFSETS_RETENTION_MINUTES_MIN = 7 * 24 * 60

export interface InspectOptions {
  /** host:port of some of the brokers. */
  readonly brokers: readonly string[]
  readonly clientId: string
  /** Replicas of topics that will be made. */
  readonly replicationFactor: number
  /** Topics that are looked at where they exist. */
  readonly topics: readonly string[]
}

/** What `doctor` shows of Kafka. A cluster that cannot be reached is a check that failed, not an error. */
export async function inspectBroker(options: InspectOptions): Promise<readonly Check[]> {
  const cluster = new Cluster({ ...options, settings: { ...KAFKA_LOG_SETTINGS, askMsMax: DOCTOR_MS_MAX } })
  try {
    const checks = [...(await inspectCluster(cluster, options.replicationFactor))]
    for (const name of options.topics) checks.push(...(await inspectTopic(cluster, name)))
    return checks
  } catch (error) {
    if (!(error instanceof LogError || error instanceof KafkaFault)) throw error
    const name = error instanceof LogError && error.code === 'unsafeSettings' ? 'protocol' : 'reachable'
    return [{ name: `Kafka: ${name}`, status: 'failed', detail: messageOf(error) }]
  } finally {
    cluster.close()
  }
}

/** @throws LogError `unavailable`, or `unsafeSettings` when a broker speaks another protocol */
export async function inspectCluster(cluster: Cluster, replicationFactor: number): Promise<readonly Check[]> {
  const metadata = await askAgain('asking the cluster who it is', cluster.settings.askMsMax, () =>
    cluster.metadata([]),
  )
  return [
    {
      name: 'Kafka: reachable',
      status: 'ok',
      detail: `cluster ${metadata.clusterId}, ${count(metadata.brokers.length, 'broker')}`,
    },
    judgeReplication(metadata, replicationFactor),
    ...(await inspectBrokers(cluster, metadata)),
  ]
}

function judgeReplication({ brokers }: ClusterMetadata, replicationFactor: number): Check {
  const name = 'Kafka: replication'
  if (replicationFactor > brokers.length) {
    return {
      name,
      status: 'failed',
      detail: `topics are to have ${replicationFactor} replicas and there ${brokers.length === 1 ? 'is one broker' : `are ${brokers.length} brokers`}. Start more brokers or lower KAFKA_REPLICATION_FACTOR.`,
    }
  }
  if (replicationFactor === 1) {
    return {
      name,
      status: 'warning',
      detail:
        'topics are made with one replica, and are as safe as one disk. Production wants three brokers and KAFKA_REPLICATION_FACTOR=3.',
    }
  }
  return { name, status: 'ok', detail: `${replicationFactor} replicas on ${count(brokers.length, 'broker')}` }
}

/** Every broker is connected to, so that one that speaks another protocol is found before it leads a partition. */
async function inspectBrokers(cluster: Cluster, { brokers }: ClusterMetadata): Promise<readonly Check[]> {
  const checks: Check[] = []
  for (const { nodeId } of brokers) {
    const settings = await askAgain(
      `reading the settings of broker ${nodeId}`,
      cluster.settings.askMsMax,
      () => brokerSettings(cluster, nodeId),
    )
    const minutes = Number(settings.get('offsets.retention.minutes'))
    checks.push(
      minutes >= OFFSETS_RETENTION_MINUTES_MIN
        ? {
            name: `Kafka: broker ${nodeId}: offsets.retention.minutes`,
            status: 'ok',
            detail: String(minutes),
          }
        : {
            name: `Kafka: broker ${nodeId}: offsets.retention.minutes`,
            status: 'warning',
            detail: `${minutes}: lag tools lose sight of a group that is away for longer; 10080 (7 days) is wanted. Nothing is lost by it.`,
          },
    )
  }
  return checks
}

async function brokerSettings(cluster: Cluster, nodeId: number): Promise<ReadonlyMap<string, string | null>> {
  const connection = await cluster.connection(nodeId, 'control')
  const { resources } = await connection.call('DescribeConfigs', {
    resources: [{ type: RESOURCE_BROKER, name: String(nodeId), configNames: [] }],
  })
  const found = resources[0]
  if (found === undefined || found.errorCode !== 0) throw brokerFault('settings', found?.errorCode ?? -1)
  return new Map(found.configEntries.map(({ configName, configValue }) => [configName, configValue]))
}

async function inspectTopic(cluster: Cluster, name: string): Promise<readonly Check[]> {
  const topic = await askAgain(`finding ${name}`, cluster.settings.askMsMax, () => findTopic(cluster, name))
  if (topic === null) {
    return [{ name, status: 'ok', detail: 'not there yet; it is made when the server starts' }]
  }
  return judgeTopic(name, topic.replicas, await topicSettings(cluster, name))
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`
}
