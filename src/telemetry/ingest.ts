import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { IngestMetrics } from '../ingest/ports.ts'

/** The figures of stage 1. Observed per request or per append, never per event. */
export function createIngestMetrics(registry: Registry): IngestMetrics {
  const registers = [registry]
  const events = new Counter({
    name: 'tallyman_ingest_events_total',
    help: 'Events by outcome. unknown_meter, unknown_subject: part of accepted. conflict: part of duplicate.',
    labelNames: ['result'],
    registers,
  })
  const rejections = new Counter({
    name: 'tallyman_ingest_rejections_total',
    help: 'Rejected events by reason.',
    labelNames: ['code'],
    registers,
  })
  const batch = new Histogram({
    name: 'tallyman_ingest_batch_events',
    help: 'Events of one request.',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
    registers,
  })
  const refusals = new Counter({
    name: 'tallyman_ingest_refusals_total',
    help: 'Requests refused as a whole because of what they are, by reason.',
    labelNames: ['code'],
    registers,
  })
  const backpressure = new Counter({
    name: 'tallyman_backpressure_rejections_total',
    help: 'Requests answered 503, by reason; clients send them again.',
    labelNames: ['reason'],
    registers,
  })
  const flushSeconds = new Histogram({
    name: 'tallyman_log_flush_duration_seconds',
    help: 'Time from handing a group of packs to the log until all are durable or have failed.',
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const records = new Counter({
    name: 'tallyman_log_appended_records_total',
    help: 'Packs handed to the log, by outcome. failed includes those of which nobody knows.',
    labelNames: ['result'],
    registers,
  })
  const bytes = new Counter({
    name: 'tallyman_log_appended_bytes_total',
    help: 'Bytes of packs handed to the log.',
    registers,
  })
  // Every series is there from the start, so that a first failure shows as an increase.
  const results = [
    'accepted',
    'duplicate',
    'conflict',
    'invalid',
    'unknown_meter',
    'unknown_subject',
  ] as const
  for (const result of results) events.inc({ result }, 0)
  for (const reason of ['overloaded', 'logUnavailable', 'draining']) backpressure.inc({ reason }, 0)
  for (const result of ['appended', 'failed']) records.inc({ result }, 0)
  const counters = Object.fromEntries(results.map((result) => [result, events.labels(result)]))
  const count = (result: (typeof results)[number], by: number): void => {
    if (by > 0) counters[result]?.inc(by)
  }
  const appended = records.labels('appended')
  return {
    requestJudged(counts) {
      count('accepted', counts.accepted)
      count('duplicate', counts.duplicates)
      count('conflict', counts.conflicts)
      count('invalid', counts.rejected)
      count('unknown_meter', counts.unknownMeter)
      count('unknown_subject', counts.unknownSubject)
      batch.observe(counts.accepted + counts.duplicates + counts.rejected)
    },
    eventRejected: (code) => rejections.inc({ code }),
    requestRefused(code) {
      if (code === 'overloaded' || code === 'logUnavailable' || code === 'draining')
        backpressure.inc({ reason: code })
      else refusals.inc({ code })
    },
    appended(append) {
      flushSeconds.observe(append.seconds)
      appended.inc(append.records - append.failedRecords)
      if (append.failedRecords > 0) records.inc({ result: 'failed' }, append.failedRecords)
      bytes.inc(append.bytes)
    },
    observeQueue(bytesPending) {
      new Gauge({
        name: 'tallyman_ingest_queue_bytes',
        help: 'Bytes of requests taken in and not yet answered.',
        registers,
        collect() {
          this.set(bytesPending())
        },
      })
    },
    observeDuplicateWindow(entries) {
      new Gauge({
        name: 'tallyman_dedupe_index_entries',
        help: 'Identities that the duplicate window of this process remembers.',
        registers,
        collect() {
          this.set(entries())
        },
      })
    },
  }
}
