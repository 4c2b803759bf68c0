import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { createMemoryLog } from '../../src/log/memory-log.ts'
import { createIngestMetrics } from '../../src/telemetry/ingest.ts'
import { createLogMetrics } from '../../src/telemetry/log.ts'
import { instantOf } from '../../src/time/instant.ts'
import { bytesOf, Collector } from '../support/collector.ts'

it('shows appends, deliveries, lag and rebalances under names that ingest does not use', async () => {
  const registry = new Registry()
  createIngestMetrics(registry)
  let nowMs = 1_000_000
  const log = createMemoryLog({
    clock: { now: () => instantOf(nowMs) },
    metrics: createLogMetrics(registry),
    retryPauseMs: 1,
  })
  await log.ensureTopic({ name: 'events', partitions: 1, retentionMs: null })
  await log.append('events', [{ partition: 0, value: bytesOf('four') }])
  const collector = new Collector()
  let attempts = 0
  let release: () => void = () => undefined
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const consumer = await log.consume({
    topic: 'events',
    group: 'readers',
    resumeAt: async () => 0,
    onBatch: async (batch) => {
      if (++attempts === 1) throw new Error('once')
      await collector.take(batch)
      await held
    },
    onFatal: collector.fail,
  })
  await collector.until(() => collector.count === 1)
  nowMs += 2500
  const text = await registry.metrics()
  for (const line of [
    'tallyman_log_records_total{topic="events",result="appended"} 1',
    'tallyman_log_records_total{topic="events",result="failed"} 0',
    'tallyman_log_bytes_total{topic="events"} 4',
    'tallyman_log_delivered_records_total{group="readers",topic="events",result="failed"} 1',
    'tallyman_log_delivered_records_total{group="readers",topic="events",result="handled"} 0',
    'tallyman_consumer_lag_records{group="readers",topic="events",partition="0"} 1',
    'tallyman_consumer_lag_seconds{group="readers",topic="events",partition="0"} 2.5',
    'tallyman_rebalances_total{group="readers"} 1',
  ]) {
    expect(text.split('\n')).toContain(line)
  }
  release()
  await consumer.stop()
  // What was assigned to nobody is reported by nobody.
  expect(await registry.metrics()).not.toContain('tallyman_consumer_lag_records{')
  await log.close()
})

it('shows the disk of a log that has one', async () => {
  const registry = new Registry()
  createLogMetrics(registry).observeDisk(() => ({ usedBytes: 7, freeBytes: 11 }))
  const text = await registry.metrics()
  expect(text).toContain('tallyman_log_disk_used_bytes 7')
  expect(text).toContain('tallyman_log_disk_free_bytes 11')
})
