import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { AggregateMetrics } from '../aggregate/ports.ts'

const SECONDS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** The figures of stage 2. Observed per flush, recompute, query or check, never per event. */
export function createAggregateMetrics(registry: Registry): AggregateMetrics {
  const registers = [registry]
  const insertSeconds = new Histogram({
    name: 'tallyman_clickhouse_insert_duration_seconds',
    help: 'Time of one flush: rows, marks and journal, each durable.',
    buckets: SECONDS,
    registers,
  })
  const insertRows = new Counter({
    name: 'tallyman_clickhouse_insert_rows_total',
    help: 'Event rows made durable. Copies of an event are rows too.',
    registers,
  })
  const insertBytes = new Counter({
    name: 'tallyman_clickhouse_insert_bytes_total',
    help: 'Bytes of the log records whose rows were made durable.',
    registers,
  })
  const insertErrors = new Counter({
    name: 'tallyman_clickhouse_insert_errors_total',
    help: 'Steps of a flush that failed and were tried again; nothing is skipped.',
    registers,
  })
  const freshness = new Histogram({
    name: 'tallyman_end_to_end_freshness_seconds',
    help: 'From accepted by ingest to countable, of the oldest event of each flush.',
    buckets: [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60, 300, 900, 3600],
    registers,
  })
  const watermark = new Gauge({
    name: 'tallyman_watermark_timestamp_seconds',
    help: 'When the newest countable event was accepted; 0 before the first. It stands still while no events come.',
    registers,
  })
  const buffered = new Gauge({
    name: 'tallyman_aggregate_buffered_rows',
    help: 'Rows read from the log and not yet handed to an insert.',
    registers,
  })
  const recomputed = new Counter({
    name: 'tallyman_rollup_buckets_recomputed_total',
    help: 'Minutes of an event type whose rollup was computed from the canonical events.',
    registers,
  })
  const recomputeSeconds = new Histogram({
    name: 'tallyman_rollup_recompute_duration_seconds',
    help: 'Time of one recompute of a run of minutes.',
    buckets: SECONDS,
    registers,
  })
  const dirty = new Gauge({
    name: 'tallyman_rollup_dirty_buckets',
    help: 'Minutes with events that no rollup has; queries read them live.',
    registers,
  })
  const conflicts = new Counter({
    name: 'tallyman_event_conflicts_total',
    help: 'Copies of an event with another time, subject or type than the first: kept, never counted.',
    registers,
  })
  const halted = new Gauge({
    name: 'tallyman_aggregate_partition_halted',
    help: '1 for a partition that has halted since start; nothing of it is skipped, an operator has to look.',
    labelNames: ['partition'],
    registers,
  })
  const querySeconds = new Histogram({
    name: 'tallyman_usage_query_duration_seconds',
    help: 'Time of one question to the usage store, by kind.',
    labelNames: ['kind'],
    buckets: SECONDS,
    registers,
  })
  const drift = new Gauge({
    name: 'tallyman_reconciliation_drift_records',
    help: 'What the last conservation check found to differ, by stage. Must be 0.',
    labelNames: ['stage'],
    registers,
  })
  return {
    flushed({ rows, bytes, seconds }) {
      insertSeconds.observe(seconds)
      insertRows.inc(rows)
      insertBytes.inc(bytes)
    },
    insertFailed: () => insertErrors.inc(),
    freshness: (seconds) => freshness.observe(seconds),
    watermark: (acceptedAtSeconds) => watermark.set(acceptedAtSeconds),
    buffered: (rows) => buffered.set(rows),
    minutesRecomputed(minutes, seconds) {
      recomputed.inc(minutes)
      recomputeSeconds.observe(seconds)
    },
    dirtyMinutes: (count) => dirty.set(count),
    conflictsFound: (count) => conflicts.inc(count),
    partitionHalted: (partition) => halted.set({ partition: String(partition) }, 1),
    queried: (kind, seconds) => querySeconds.observe({ kind }, seconds),
    drift: (stage, records) => drift.set({ stage }, records),
  }
}
