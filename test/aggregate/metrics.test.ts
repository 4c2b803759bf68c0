import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { createAggregateMetrics } from '../../src/telemetry/aggregate.ts'

describe('the figures of the aggregator', () => {
  it('shows flushes, freshness, rollups, halts and drift', async () => {
    const registry = new Registry()
    const metrics = createAggregateMetrics(registry)
    metrics.flushed({ rows: 5, bytes: 70, seconds: 0.2 })
    metrics.insertFailed()
    metrics.freshness(0.4)
    metrics.watermark(1_700_000_000)
    metrics.buffered(3)
    metrics.minutesRecomputed(2, 0.1)
    metrics.dirtyMinutes(7)
    metrics.conflictsFound(2)
    metrics.partitionHalted(6)
    metrics.queried('usage', 0.01)
    metrics.drift('rollup', 0)
    const text = await registry.metrics()
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'tallyman_clickhouse_insert_duration_seconds_count 1',
        'tallyman_clickhouse_insert_rows_total 5',
        'tallyman_clickhouse_insert_bytes_total 70',
        'tallyman_clickhouse_insert_errors_total 1',
        'tallyman_end_to_end_freshness_seconds_bucket{le="0.5"} 1',
        'tallyman_watermark_timestamp_seconds 1700000000',
        'tallyman_aggregate_buffered_rows 3',
        'tallyman_rollup_buckets_recomputed_total 2',
        'tallyman_rollup_recompute_duration_seconds_count 1',
        'tallyman_rollup_dirty_buckets 7',
        'tallyman_event_conflicts_total 2',
        'tallyman_aggregate_partition_halted{partition="6"} 1',
        'tallyman_usage_query_duration_seconds_count{kind="usage"} 1',
        'tallyman_reconciliation_drift_records{stage="rollup"} 0',
      ]),
    )
  })
})
