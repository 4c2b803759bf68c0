import { readDirectory } from '../database/directory-snapshot.ts'
import { createDirectory, type Directory } from '../ingest/directory.ts'
import { createEventSchemas } from '../ingest/event-schemas.ts'
import { createOtlpMappings, type OtlpMappingTable } from '../ingest/otlp-mappings.ts'
import type { EventSchemas } from '../ingest/ports.ts'
import type { Clock } from '../time/clock.ts'
import type { DirectoryChange } from '../usage/directory-change.ts'
import { TOPIC_DIRECTORY } from '../usage/topics.ts'
import type { Closing } from './closing.ts'
import type { Engines } from './engines.ts'
import { startTopicReplica, type TopicReplica } from './topic-replica.ts'

export interface HeldDirectory {
  readonly directory: Directory
  readonly schemas: EventSchemas
  readonly otlpMappings: OtlpMappingTable
  readonly replica: TopicReplica
}

export interface DirectoryOptions {
  readonly engines: Pick<Engines, 'log' | 'database'>
  readonly clock: Clock
  readonly instance: string
  readonly closing: Closing
  readonly onFatal: (error: Error) => void
}

/** The control plane's state as the event path needs it: from the database, then kept true by the topic. */
export async function startDirectory(options: DirectoryOptions): Promise<HeldDirectory> {
  const { engines, clock, closing, onFatal, instance } = options
  const directory = createDirectory(clock)
  const schemas = createEventSchemas()
  const otlpMappings = createOtlpMappings()
  const apply = (change: DirectoryChange): void => {
    if (change.kind === 'eventSchema') schemas.apply(change)
    else if (change.kind === 'otlpMapping') otlpMappings.apply(change)
    else directory.apply(change)
  }
  const replica = await startTopicReplica({
    log: engines.log,
    topic: TOPIC_DIRECTORY,
    instance,
    snapshot: async () => {
      for await (const page of readDirectory(engines.database.db)) {
        for (const change of page) apply(change)
      }
    },
    apply: (value) => apply(JSON.parse(Buffer.from(value).toString('utf8')) as DirectoryChange),
    onFatal,
  })
  closing.add('directory', () => replica.stop())
  return { directory, schemas, otlpMappings, replica }
}
