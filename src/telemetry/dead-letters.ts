import { Counter, Gauge, type Registry } from 'prom-client'
import type { DeadLetterMetrics } from '../ingest/dead-letter-buffer.ts'

export interface PruningMetrics {
  pruned(removed: { readonly expired: number; readonly evicted: number }): void
}

export function createDeadLetterMetrics(registry: Registry): DeadLetterMetrics & PruningMetrics {
  const registers = [registry]
  const letters = new Counter({
    name: 'tallyman_dead_letters_total',
    help: 'Rejected events: kept; dropped because too many waited to be written; removed as expired (age) or evicted (bytes of the tenant).',
    labelNames: ['result'],
    registers,
  })
  for (const result of ['kept', 'dropped', 'expired', 'evicted']) letters.inc({ result }, 0)
  return {
    kept: (count) => letters.inc({ result: 'kept' }, count),
    dropped: (count) => letters.inc({ result: 'dropped' }, count),
    pruned({ expired, evicted }) {
      letters.inc({ result: 'expired' }, expired)
      letters.inc({ result: 'evicted' }, evicted)
    },
    observeBuffer(bytes) {
      new Gauge({
        name: 'tallyman_dead_letter_buffer_bytes',
        help: 'Rejected events that wait to be written.',
        registers,
        collect() {
          this.set(bytes())
        },
      })
    },
  }
}
