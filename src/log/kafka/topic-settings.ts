import type { TopicSpec } from '../../usage/event-log.ts'
import { RECORD_BYTES_MAX } from '../bounds.ts'
import { RECORD_OVERHEAD_BYTES, TOPIC_MESSAGE_BYTES_MAX } from './settings.ts'

/** What was found of a broker or a topic, in words for an operator. `failed`: the log's promises do not hold with it. */
export interface Check {
  readonly name: string
  readonly status: 'ok' | 'warning' | 'failed'
  readonly detail: string
}

/** Longest outage of what reads the log that its retention must outlast, twice. */
const RETENTION_MS_MIN = 7 * 86_400_000
/** Record batch header and request fields around the records. */
const BATCH_HEADER_BYTES = 256

export interface TopicSetting {
  readonly name: string
  readonly value: string
}

/**
 * The settings that a topic is made with. Durable means acknowledged by at least two replicas; where there is one
 * replica only, the broker must sync each append to its disk before it answers.
 */
export function settingsOfNewTopic(spec: TopicSpec, replicationFactor: number): readonly TopicSetting[] {
  return Object.entries({
    'cleanup.policy': 'delete',
    'retention.ms': String(spec.retentionMs ?? -1),
    'retention.bytes': '-1',
    'message.timestamp.type': 'LogAppendTime',
    'max.message.bytes': String(TOPIC_MESSAGE_BYTES_MAX),
    'compression.type': 'producer',
    'unclean.leader.election.enable': 'false',
    'min.insync.replicas': String(replicationFactor > 2 ? replicationFactor - 1 : replicationFactor),
    ...(replicationFactor === 1 ? { 'flush.messages': '1' } : {}),
  }).map(([name, value]) => ({ name, value }))
}

/** Judges an existing topic by its settings and the smallest number of replicas that a partition has. */
export function judgeTopic(
  topic: string,
  replicas: number,
  settings: ReadonlyMap<string, string | null>,
): readonly Check[] {
  const value = (name: string): string => settings.get(name) ?? ''
  const amount = (name: string): number => Number(settings.get(name) ?? Number.NaN)
  const alter = (change: string): string =>
    `kafka-configs.sh --alter --entity-type topics --entity-name ${topic} --add-config ${change}`
  const check = (name: string, status: Check['status'], detail: string): Check => ({
    name: `${topic}: ${name}`,
    status,
    detail,
  })
  const checks: Check[] = []

  checks.push(
    value('cleanup.policy') === 'delete'
      ? check('cleanup.policy', 'ok', 'delete')
      : check(
          'cleanup.policy',
          'failed',
          `${value('cleanup.policy')}: compaction removes records that were acknowledged. ${alter('cleanup.policy=delete')}`,
        ),
  )

  const retentionMs = amount('retention.ms')
  const isKept = retentionMs < 0 || retentionMs >= RETENTION_MS_MIN
  checks.push(
    isKept
      ? check('retention.ms', 'ok', retentionMs < 0 ? 'kept for ever' : `${retentionMs} ms`)
      : check(
          'retention.ms',
          'warning',
          `${retentionMs} ms: records may go before they are read when a reader is away for longer; at least 7 days are wanted. ${alter(`retention.ms=${RETENTION_MS_MIN}`)}`,
        ),
  )
  const retentionBytes = amount('retention.bytes')
  if (retentionBytes >= 0) {
    checks.push(
      check(
        'retention.bytes',
        'warning',
        `${retentionBytes}: records go by size, however new and unread they are. ${alter('retention.bytes=-1')}`,
      ),
    )
  }

  const timestampType = value('message.timestamp.type')
  checks.push(
    timestampType === 'LogAppendTime'
      ? check('message.timestamp.type', 'ok', timestampType)
      : check(
          'message.timestamp.type',
          'warning',
          `${timestampType}: ages and lag are told by the clock of who appended. ${alter('message.timestamp.type=LogAppendTime')}`,
        ),
  )

  const bytesMax = amount('max.message.bytes')
  const bytesNeeded = RECORD_BYTES_MAX + RECORD_OVERHEAD_BYTES + BATCH_HEADER_BYTES
  checks.push(
    bytesMax >= TOPIC_MESSAGE_BYTES_MAX
      ? check('max.message.bytes', 'ok', String(bytesMax))
      : check(
          'max.message.bytes',
          'failed',
          `${bytesMax}: appends of up to ${TOPIC_MESSAGE_BYTES_MAX} bytes (records of up to ${bytesNeeded}) would be refused. ${alter(`max.message.bytes=${TOPIC_MESSAGE_BYTES_MAX}`)}`,
        ),
  )

  return [...checks, ...judgeDurability(replicas, value, amount, check, alter)]
}

function judgeDurability(
  replicas: number,
  value: (name: string) => string,
  amount: (name: string) => number,
  check: (name: string, status: Check['status'], detail: string) => Check,
  alter: (change: string) => string,
): readonly Check[] {
  if (replicas === 1) {
    return [
      check(
        'replication',
        'warning',
        'one replica: what the broker acknowledged is as safe as its one disk. Production wants three brokers, KAFKA_REPLICATION_FACTOR=3.',
      ),
      amount('flush.messages') === 1
        ? check('flush.messages', 'ok', '1: synced before it is acknowledged')
        : check(
            'flush.messages',
            'warning',
            `${value('flush.messages')}: with one replica, a power cut can take records that were acknowledged. ${alter('flush.messages=1')}`,
          ),
    ]
  }
  const insync = amount('min.insync.replicas')
  const unclean = value('unclean.leader.election.enable')
  return [
    check('replication', 'ok', `${replicas} replicas`),
    insync >= 2
      ? check('min.insync.replicas', 'ok', String(insync))
      : check(
          'min.insync.replicas',
          'failed',
          `${insync}: an append is acknowledged while one broker alone has it, and is lost with it. ${alter('min.insync.replicas=2')}`,
        ),
    unclean === 'false'
      ? check('unclean.leader.election.enable', 'ok', unclean)
      : check(
          'unclean.leader.election.enable',
          'failed',
          `${unclean}: a replica that lacks acknowledged records may become the leader, and they are gone. ${alter('unclean.leader.election.enable=false')}`,
        ),
  ]
}
