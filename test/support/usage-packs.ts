import { readFileSync } from 'node:fs'
import avsc from 'avsc'
import type { SubjectId, TenantId } from '../../src/id/ids.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'
import type { UsageEvent } from '../../src/usage/event.ts'
import type { EventLog } from '../../src/usage/event-log.ts'
import { partitionOf } from '../../src/usage/partition.ts'
import { EVENT_PARTITIONS, TOPIC_EVENTS, TOPIC_OBSERVED } from '../../src/usage/topics.ts'

const PACK_TYPE = avsc.Type.forSchema(
  JSON.parse(
    readFileSync(new URL('../../schemas/avro/usage-pack.v1.avsc', import.meta.url), 'utf8'),
  ) as avsc.Schema,
)

interface EventParts {
  readonly tenant?: string
  readonly source?: string
  readonly id?: string
  readonly type?: string
  readonly subject?: string
  readonly time?: Instant
  readonly properties?: Readonly<Record<string, string>>
}

export const NOON = instantOf(Date.UTC(2026, 2, 1, 12))

export function aUsageEvent(parts: EventParts = {}): UsageEvent {
  return {
    tenant: (parts.tenant ?? 'ten_1') as TenantId,
    source: parts.source ?? '/gateway',
    id: parts.id ?? 'evt-1',
    type: parts.type ?? 'llm.request',
    subject: (parts.subject ?? 'acme-prod') as SubjectId,
    time: parts.time ?? NOON,
    properties: new Map(Object.entries(parts.properties ?? { tokens: '12' })),
  }
}

/** The bytes of a log record, made by a general Avro library: what the product's own encoder must equal. */
export function packBytes(events: readonly UsageEvent[], ingestedAt: Instant = NOON): Uint8Array {
  const body = PACK_TYPE.toBuffer({
    ingestedAt,
    events: events.map((event) => ({ ...event, properties: Object.fromEntries(event.properties) })),
  })
  return Buffer.concat([Uint8Array.of(0, 0, 0, 0, 1), body])
}

export async function ensureUsageTopics(log: EventLog): Promise<void> {
  await log.ensureTopic({ name: TOPIC_EVENTS, partitions: EVENT_PARTITIONS, retentionMs: null })
  await log.ensureTopic({ name: TOPIC_OBSERVED, partitions: 1, retentionMs: null })
}

/** Appends events as ingest does: each in its identity's partition, one pack a partition. */
export async function appendEvents(
  log: EventLog,
  events: readonly UsageEvent[],
  ingestedAt: Instant = NOON,
): Promise<void> {
  const byPartition = Map.groupBy(events, ({ tenant, source, id }) =>
    partitionOf(tenant, source, id, EVENT_PARTITIONS),
  )
  const outcomes = await log.append(
    TOPIC_EVENTS,
    [...byPartition].map(([partition, packed]) => ({ partition, value: packBytes(packed, ingestedAt) })),
  )
  const failed = outcomes.find((outcome) => outcome.kind === 'failed')
  if (failed !== undefined) throw new Error(failed.reason)
}
