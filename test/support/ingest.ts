import { type Directory, createDirectory } from '../../src/ingest/directory.ts'
import type { IngestAnswer } from '../../src/ingest/answer.ts'
import type { RejectedEvents } from '../../src/ingest/dead-letter-buffer.ts'
import { createIngest, type Ingest, type IngestRequest } from '../../src/ingest/ingest.ts'
import type { EventSchemas, IngestConfig, IngestMetrics } from '../../src/ingest/ports.ts'
import type { TenantId } from '../../src/id/ids.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'
import { createScriptedLog, type ScriptedLog } from './scripted-log.ts'

export const TENANT = 'ten_1' as TenantId
export const NOW = instantOf(Date.UTC(2026, 2, 1, 12))

/** A CloudEvent as a service sends it. */
export function aCloudEvent(parts: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    specversion: '1.0',
    id: 'evt-1',
    source: '/gateway',
    type: 'llm.request',
    subject: 'acme-prod',
    time: '2026-03-01T11:59:00Z',
    data: { tokens: 12 },
    ...parts,
  }
}

export interface MetricsSeen {
  readonly judged: Parameters<IngestMetrics['requestJudged']>[0][]
  readonly rejected: string[]
  readonly refused: string[]
  readonly appended: Parameters<IngestMetrics['appended']>[0][]
  queueBytes: () => number
  windowEntries: () => number
}

export interface Stage {
  readonly ingest: Ingest
  readonly log: ScriptedLog
  readonly directory: Directory
  readonly metrics: MetricsSeen
  readonly faults: unknown[]
  readonly setNow: (now: Instant) => void
  /** Sends JSON text as one batch. */
  readonly sendText: (batch: string, options?: Partial<IngestRequest>) => Promise<IngestAnswer>
  /** Sends events as one batch. */
  readonly send: (events: readonly unknown[], options?: Partial<IngestRequest>) => Promise<IngestAnswer>
}

export function aStage(
  config: Partial<IngestConfig> = {},
  schemas?: EventSchemas,
  rejectedEvents?: RejectedEvents,
): Stage {
  let now = NOW
  const clock = { now: () => now }
  const log = createScriptedLog()
  const directory = createDirectory(clock)
  const faults: unknown[] = []
  const seen: MetricsSeen = {
    judged: [],
    rejected: [],
    refused: [],
    appended: [],
    queueBytes: () => Number.NaN,
    windowEntries: () => Number.NaN,
  }
  const metrics: IngestMetrics = {
    requestJudged: (counts) => void seen.judged.push(counts),
    eventRejected: (code) => void seen.rejected.push(code),
    requestRefused: (code) => void seen.refused.push(code),
    appended: (append) => void seen.appended.push(append),
    observeQueue: (bytes) => void (seen.queueBytes = bytes),
    observeDuplicateWindow: (entries) => void (seen.windowEntries = entries),
  }
  const ingest = createIngest({
    log,
    directory,
    ...(schemas === undefined ? {} : { schemas }),
    ...(rejectedEvents === undefined ? {} : { rejectedEvents }),
    clock,
    metrics,
    config: { requestBytesMax: 5_242_880, requestEventsMax: 1000, queueBytesMax: 67_108_864, ...config },
    onFault: (reason) => void faults.push(reason),
  })
  const sendText: Stage['sendText'] = (batch, options) =>
    ingest.accept({
      tenant: TENANT,
      contentType: 'application/cloudevents-batch+json',
      contentEncoding: undefined,
      headers: () => ({}),
      body: Buffer.from(batch),
      atomic: false,
      receipts: false,
      ...options,
    })
  return {
    ingest,
    log,
    directory,
    metrics: seen,
    faults,
    setNow: (to) => void (now = to),
    sendText,
    send: (events, options) => sendText(JSON.stringify(events), options),
  }
}
