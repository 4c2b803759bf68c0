import { LogError, type TopicSpec } from '../usage/event-log.ts'

export function closedError(): LogError {
  return new LogError('closed', 'The log is closed: this process is stopping.', { retryable: false })
}

export function unknownTopic(name: string): LogError {
  return new LogError(
    'unknownTopic',
    `There is no topic ${name}. It is created when a role that writes it starts.`,
    {
      retryable: false,
    },
  )
}

export function partitionMismatch(spec: TopicSpec, found: number): LogError {
  return new LogError(
    'partitionMismatch',
    `${spec.name} has ${found} partitions and ${spec.partitions} are expected. The partitions of a topic never change, because an identity must stay in its partition: use the data that belongs to this version, or a new topic and epoch.`,
    { retryable: false },
  )
}
