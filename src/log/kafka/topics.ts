import { LogError, type TopicSpec } from '../../usage/event-log.ts'
import { partitionMismatch } from '../faults.ts'
import type { LogLogger } from '../ports.ts'
import type { Cluster } from './cluster.ts'
import { brokerFault, faultType, KafkaFault } from './kafka-fault.ts'
import { askAgain } from './retrying.ts'
import { type Check, judgeTopic, settingsOfNewTopic } from './topic-settings.ts'

const UNKNOWN_TOPIC = 3
const TOPIC_EXISTS = 36
const INVALID_REPLICATION_FACTOR = 38
const RESOURCE_TOPIC = 2
const CREATE_MS_MAX = 4000

interface TopicFound {
  readonly partitions: number
  /** The smallest number of replicas of a partition. */
  readonly replicas: number
  readonly hasLeaders: boolean
}

/**
 * Makes the topic, or checks the one that is there.
 * @throws LogError `partitionMismatch`, `unsafeSettings`, `unavailable`
 */
export async function ensureTopic(
  cluster: Cluster,
  spec: TopicSpec,
  replicationFactor: number,
  logger: LogLogger,
): Promise<void> {
  const { askMsMax } = cluster.settings
  await askAgain(`making ${spec.name}`, askMsMax, async () => {
    if ((await findTopic(cluster, spec.name)) === null) await createTopic(cluster, spec, replicationFactor)
  })
  const found = await askAgain(`finding ${spec.name}`, askMsMax, async () => {
    const topic = await findTopic(cluster, spec.name)
    if (topic?.hasLeaders === true) return topic
    throw new KafkaFault('its partitions have no leaders yet', { isInDoubt: false })
  })
  cluster.forget(spec.name)
  if (found.partitions !== spec.partitions) throw partitionMismatch(spec, found.partitions)
  const settings = await topicSettings(cluster, spec.name)
  refuseUnsafe(judgeTopic(spec.name, found.replicas, settings), logger)
  const retentionMs = Number(settings.get('retention.ms'))
  const wanted = spec.retentionMs ?? -1
  if (retentionMs !== wanted) {
    logger.warn(
      { topic: spec.name, retentionMs, wantedMs: wanted },
      `the topic's retention is not the configured one: kafka-configs.sh --alter --entity-type topics --entity-name ${spec.name} --add-config retention.ms=${wanted}`,
    )
  }
}

/** Warnings are logged. @throws LogError `unsafeSettings` with all that failed */
export function refuseUnsafe(checks: readonly Check[], logger: LogLogger): void {
  for (const { name, status, detail } of checks) {
    if (status === 'warning') logger.warn({ check: name }, detail)
  }
  const failed = checks.filter(({ status }) => status === 'failed')
  if (failed.length === 0) return
  throw new LogError(
    'unsafeSettings',
    `Kafka is not set up so that nothing is lost. ${failed.map(({ name, detail }) => `${name}: ${detail}`).join(' ')}`,
    { retryable: false },
  )
}

/** Null where there is no such topic. @throws KafkaFault */
export async function findTopic(cluster: Cluster, name: string): Promise<TopicFound | null> {
  const { topicMetadata } = await cluster.metadata([name])
  const topic = topicMetadata.find((each) => each.topic === name)
  if (topic === undefined || topic.topicErrorCode === UNKNOWN_TOPIC) return null
  if (topic.topicErrorCode !== 0) throw brokerFault(name, topic.topicErrorCode)
  return {
    partitions: topic.partitionMetadata.length,
    replicas: Math.min(...topic.partitionMetadata.map(({ replicas }) => replicas.length)),
    hasLeaders: topic.partitionMetadata.every(({ leader }) => leader >= 0),
  }
}

async function createTopic(cluster: Cluster, spec: TopicSpec, replicationFactor: number): Promise<void> {
  const { controllerId } = await cluster.metadata([])
  const controller = await cluster.connection(controllerId, 'control')
  const { topicErrors } = await controller.call('CreateTopics', {
    topics: [
      {
        topic: spec.name,
        numPartitions: spec.partitions,
        replicationFactor,
        configEntries: settingsOfNewTopic(spec, replicationFactor),
      },
    ],
    validateOnly: false,
    timeout: CREATE_MS_MAX,
  })
  for (const { errorCode, errorMessage } of topicErrors) {
    // Another process made it in the meantime, or the first request was done and its answer lost.
    if (errorCode === 0 || errorCode === TOPIC_EXISTS) continue
    if (errorCode === INVALID_REPLICATION_FACTOR) {
      throw new LogError(
        'unsafeSettings',
        `${spec.name} cannot have ${replicationFactor} replicas: ${errorMessage ?? faultType(errorCode)} Start more brokers or lower KAFKA_REPLICATION_FACTOR.`,
        { retryable: false },
      )
    }
    throw brokerFault(`${spec.name}: ${errorMessage ?? ''}`, errorCode)
  }
}

/** The settings in force. @throws LogError `unavailable` */
export function topicSettings(cluster: Cluster, name: string): Promise<ReadonlyMap<string, string | null>> {
  return askAgain(`reading the settings of ${name}`, cluster.settings.askMsMax, async () => {
    const { resources } = await cluster.askAny('DescribeConfigs', {
      resources: [{ type: RESOURCE_TOPIC, name, configNames: [] }],
    })
    const found = resources[0]
    if (found === undefined || found.errorCode !== 0)
      throw brokerFault(name, found?.errorCode ?? UNKNOWN_TOPIC)
    return new Map(found.configEntries.map(({ configName, configValue }) => [configName, configValue]))
  })
}
