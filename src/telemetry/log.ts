import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { LogMetrics } from '../usage/log-metrics.ts'

/** The figures of the log. Observed once an append or batch; lag and disk are asked for at each scrape. */
export function createLogMetrics(registry: Registry): LogMetrics {
  const registers = [registry]
  const seconds = new Histogram({
    name: 'tallyman_log_append_duration_seconds',
    help: 'Time of one append of one topic, until each of its records is durable or has failed.',
    labelNames: ['topic'],
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const records = new Counter({
    name: 'tallyman_log_records_total',
    help: 'Records appended, by topic and outcome. failed includes those of which nobody knows.',
    labelNames: ['topic', 'result'],
    registers,
  })
  const bytes = new Counter({
    name: 'tallyman_log_bytes_total',
    help: 'Bytes of records handed to the log, by topic.',
    labelNames: ['topic'],
    registers,
  })
  const retried = new Counter({
    name: 'tallyman_log_retried_records_total',
    help: 'Records sent again because the first attempt failed or was in doubt.',
    labelNames: ['topic'],
    registers,
  })
  const delivered = new Counter({
    name: 'tallyman_log_delivered_records_total',
    help: 'Records handed to a consumer, by outcome. failed ones are delivered again.',
    labelNames: ['group', 'topic', 'result'],
    registers,
  })
  const rebalances = new Counter({
    name: 'tallyman_rebalances_total',
    help: 'Times that the partitions of a group were handed out anew.',
    labelNames: ['group'],
    registers,
  })
  return {
    appended(append) {
      const { topic } = append
      seconds.observe({ topic }, append.seconds)
      records.inc({ topic, result: 'appended' }, append.records - append.failedRecords)
      records.inc({ topic, result: 'failed' }, append.failedRecords)
      bytes.inc({ topic }, append.bytes)
    },
    appendRetried: (topic, count) => retried.inc({ topic }, count),
    delivered({ group, topic, records: count, isHandled }) {
      delivered.inc({ group, topic, result: 'handled' }, isHandled ? count : 0)
      delivered.inc({ group, topic, result: 'failed' }, isHandled ? 0 : count)
    },
    rebalanced: (group) => rebalances.inc({ group }),
    observeLag(lag) {
      const labelNames = ['group', 'topic', 'partition'] as const
      new Gauge({
        name: 'tallyman_consumer_lag_records',
        help: 'Records that are durable on the log and not handled yet, of partitions assigned to this process.',
        labelNames,
        registers,
        collect() {
          this.reset() // a partition that went to another process is that one's to report
          for (const each of lag()) this.set(labelsOf(each), each.records)
        },
      })
      new Gauge({
        name: 'tallyman_consumer_lag_seconds',
        help: 'Age of the oldest record that is not handled yet; 0 when there is none.',
        labelNames,
        registers,
        collect() {
          this.reset()
          for (const each of lag()) this.set(labelsOf(each), each.seconds)
        },
      })
    },
    observeDisk(disk) {
      new Gauge({
        name: 'tallyman_log_disk_used_bytes',
        help: "Bytes of the embedded log's files.",
        registers,
        collect() {
          this.set(disk().usedBytes)
        },
      })
      new Gauge({
        name: 'tallyman_log_disk_free_bytes',
        help: 'Bytes still free where the embedded log lies.',
        registers,
        collect() {
          this.set(disk().freeBytes)
        },
      })
    },
  }
}

function labelsOf(each: {
  readonly group: string
  readonly topic: string
  readonly partition: number
}): Record<'group' | 'topic' | 'partition', string> {
  return { group: each.group, topic: each.topic, partition: String(each.partition) }
}
