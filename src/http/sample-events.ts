import type { TenantId } from '../id/ids.ts'
import type { IngestAnswer } from '../ingest/answer.ts'
import { createIngest } from '../ingest/ingest.ts'
import type { IngestMetrics } from '../ingest/ports.ts'
import { type Instant, instantOf, parseInstant } from '../time/instant.ts'
import type { UsageEvent } from '../usage/event.ts'
import { PackWalker } from '../usage/pack-walker.ts'

/** What POST /v1/events would make of a sample. */
export type SampleEvent =
  | {
      readonly kind: 'taken'
      readonly id: string | null
      readonly event: Pick<UsageEvent, 'type' | 'time' | 'properties'>
    }
  | { readonly kind: 'duplicate'; readonly id: string | null }
  | { readonly kind: 'rejected'; readonly id: string | null; readonly detail: string }

/** Larger than any body that holds samples, so that no identity is forgotten within one. */
const BYTES_MAX = 16_777_216
const UNWATCHED: IngestMetrics = {
  requestJudged: () => undefined,
  eventRejected: () => undefined,
  requestRefused: () => undefined,
  appended: () => undefined,
  observeQueue: () => undefined,
  observeDuplicateWindow: () => undefined,
}

/**
 * Reads events by the very stage that takes them, on a log that keeps one record and forgets it. Times are not held
 * against the accept window: a sample may be as old as it likes.
 * @param texts each the JSON of one CloudEvent, its numbers as they were written
 */
export async function readSampleEvents(
  tenant: TenantId,
  texts: readonly string[],
  now: Instant,
): Promise<readonly SampleEvent[]> {
  let present = now
  const appended: Uint8Array[] = []
  const ingest = createIngest({
    log: {
      append: async (_topic, records) =>
        records.map(({ partition, value }) => {
          appended.push(value)
          return { kind: 'appended', partition, offset: 0 }
        }),
    },
    directory: {
      hasTestClocks: () => false,
      nowFor: () => present,
      knows: () => true,
      isMetered: () => true,
    },
    clock: { now: () => present },
    metrics: UNWATCHED,
    config: {
      requestBytesMax: BYTES_MAX,
      requestEventsMax: 1,
      queueBytesMax: BYTES_MAX,
      duplicateWindowBytesMax: BYTES_MAX,
    },
  })
  const samples: SampleEvent[] = []
  for (const text of texts) {
    const { id, time } = JSON.parse(text) as { readonly id?: unknown; readonly time?: unknown }
    present = (typeof time === 'string' ? parseInstant(time) : null) ?? now
    appended.length = 0
    const answer = await ingest.accept({
      tenant,
      contentType: 'application/cloudevents+json',
      contentEncoding: undefined,
      headers: () => ({}),
      body: Buffer.from(text),
      atomic: false,
      receipts: false,
    })
    samples.push(sampleOf(answer, typeof id === 'string' ? id : null, appended))
  }
  return samples
}

function sampleOf(answer: IngestAnswer, id: string | null, appended: readonly Uint8Array[]): SampleEvent {
  if (answer.kind !== 'accepted') return { kind: 'rejected', id, detail: answer.detail }
  const [rejection] = answer.rejected
  if (rejection !== undefined) return { kind: 'rejected', id, detail: rejection.detail }
  if (answer.duplicates > 0) return { kind: 'duplicate', id }
  const [record] = appended
  if (record === undefined) throw new Error('an event was accepted and not appended')
  return { kind: 'taken', id, event: onlyEvent(record) }
}

function onlyEvent(record: Uint8Array): Pick<UsageEvent, 'type' | 'time' | 'properties'> {
  const walker = new PackWalker()
  walker.open(record)
  if (!walker.next()) throw new Error('a pack without an event')
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
  const properties = new Map<string, string>()
  for (let i = 0; i < walker.propertyCount; i++) {
    const [keyStart, keyEnd, valueStart, valueEnd] = walker.properties.subarray(4 * i, 4 * i + 4)
    properties.set(bytes.toString('utf8', keyStart, keyEnd), bytes.toString('utf8', valueStart, valueEnd))
  }
  return {
    type: bytes.toString('utf8', walker.typeStart, walker.typeEnd),
    time: instantOf(walker.timeMs),
    properties,
  }
}
